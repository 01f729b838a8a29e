//! Query parameters in the percent-encoding of RFC 3986, as v4 signs values and as they may stand on the wire.

/// The query of a request line, without `?`. A value that is empty keeps its `=`.
pub fn query_string(query: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in query {
        if !text.is_empty() {
            text.push('&');
        }
        push_encoded(&mut text, name);
        text.push('=');
        push_encoded(&mut text, value);
    }
    text
}

/// Everything but letters, digits and `- _ . ~` becomes `%XX`.
pub fn push_encoded(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            super::push_hex(out, &[byte], b"0123456789ABCDEF");
        }
    }
}
