//! The JSON that becomes fields: an object, or an array of objects.
//!
//! One pass over the text checks all of its grammar (RFC 8259) and hands out the top-level members as slices, without
//! a tree: what is nested in them is skipped with a stack of bits, so depth costs neither calls nor memory. What a
//! member becomes in the log, and names that repeat, are the sink's business.

use super::mapping::ArrayRule;

/// Containers open at once. Deeper text is an attack or a mistake, and readers of the log could not open it.
pub(super) const DEPTH_MAX: u32 = 64;
/// Members of one object. Far more than an index on the Logstore takes.
pub(super) const FIELDS_MAX: usize = 1_024;
/// Objects of one array: as many logs come of one record.
pub(super) const ELEMENTS_MAX: usize = 10_000;

/// Receives what is found, object by object. All of it is void when [`expand`] gives `None` in the end.
pub(super) trait Sink<'a> {
    fn member(&mut self, name: Quoted<'a>, value: Value<'a>);
    /// The object is complete. `None`: it cannot become a log.
    fn end(&mut self) -> Option<()>;
}

/// Gives the members of an object, or of each object of an array, to `sink`. `None`: not such JSON, or over a limit.
pub(super) fn expand<'a>(text: &'a str, arrays: ArrayRule, sink: &mut impl Sink<'a>) -> Option<()> {
    let mut json = Scanner {
        text,
        at: 0,
        spaces: 0,
    };
    json.space();
    match json.peek()? {
        b'{' => json.object(1, sink)?,
        b'[' if arrays == ArrayRule::Expand => json.objects(sink)?,
        _ => return None,
    }
    json.space();
    (json.at == text.len()).then_some(())
}

/// A string as it stands between its quotes.
#[derive(Clone, Copy)]
pub(super) struct Quoted<'a> {
    raw: &'a str,
    escaped: bool,
}

impl<'a> Quoted<'a> {
    /// The text that is meant; in `scratch` where it has escapes. A lone surrogate becomes U+FFFD.
    pub fn plain<'s>(self, scratch: &'s mut String) -> &'s str
    where
        'a: 's,
    {
        if !self.escaped {
            return self.raw;
        }
        scratch.clear();
        unescape(self.raw, scratch);
        scratch
    }
}

/// The value of a top-level member.
pub(super) enum Value<'a> {
    String(Quoted<'a>),
    /// A number or a boolean as it is written.
    Literal(&'a str),
    Null,
    /// An object or array as it is written; `spaced`: with white space outside of strings.
    Nested {
        raw: &'a str,
        spaced: bool,
    },
}

impl<'a> Value<'a> {
    /// The text that goes into the log; in `scratch` where it is not as it is written.
    pub fn text<'s>(self, scratch: &'s mut String) -> &'s str
    where
        'a: 's,
    {
        match self {
            Value::String(quoted) => quoted.plain(scratch),
            Value::Literal(raw) | Value::Nested { raw, spaced: false } => raw,
            Value::Null => "",
            Value::Nested { raw, spaced: true } => {
                scratch.clear();
                compact(raw, scratch);
                scratch
            }
        }
    }
}

/// Walks the text once, from front to back. Every `None` means that the text is not JSON or over a limit.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// White space seen so far, outside of strings.
    spaces: usize,
}

impl<'a> Scanner<'a> {
    fn objects(&mut self, sink: &mut impl Sink<'a>) -> Option<()> {
        self.eat(b'[')?;
        for _ in 0..ELEMENTS_MAX {
            self.space();
            self.object(2, sink)?;
            self.space();
            match self.next()? {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
        None
    }

    /// An object with at least one member; `depth` counts it.
    fn object(&mut self, depth: u32, sink: &mut impl Sink<'a>) -> Option<()> {
        self.eat(b'{')?;
        for _ in 0..FIELDS_MAX {
            let name = self.member_name()?;
            let value = self.value(depth)?;
            sink.member(name, value);
            self.space();
            match self.next()? {
                b',' => {}
                b'}' => return sink.end(),
                _ => return None,
            }
        }
        None
    }

    fn value(&mut self, depth: u32) -> Option<Value<'a>> {
        let (start, spaces) = (self.at, self.spaces);
        Some(match self.peek()? {
            b'"' => Value::String(self.string()?),
            b'{' | b'[' => {
                self.nested(depth)?;
                Value::Nested {
                    raw: &self.text[start..self.at],
                    spaced: self.spaces > spaces,
                }
            }
            _ => match self.literal()? {
                "null" => Value::Null,
                raw => Value::Literal(raw),
            },
        })
    }

    /// Skips an object or array with all that is in it; `depth` containers are open around it.
    fn nested(&mut self, depth: u32) -> Option<()> {
        let mut open = Open { objects: 0, depth };
        loop {
            if self.enter(&mut open)? {
                continue;
            }
            while open.depth > depth {
                if self.follow(&mut open)? {
                    break;
                }
            }
            if open.depth == depth {
                return Some(());
            }
        }
    }

    /// Takes a scalar, or opens a container. True: a value of that container is next. An empty one is left to
    /// [`follow`](Self::follow), which finds its end.
    fn enter(&mut self, open: &mut Open) -> Option<bool> {
        match self.peek()? {
            b'{' => {
                self.at += 1;
                open.push(true)?;
                self.space();
                if self.peek()? == b'}' {
                    return Some(false);
                }
                self.member_name().map(|_| true)
            }
            b'[' => {
                self.at += 1;
                open.push(false)?;
                self.space();
                Some(self.peek()? != b']')
            }
            b'"' => self.string().map(|_| false),
            _ => self.literal().map(|_| false),
        }
    }

    /// Takes what stands behind a value. True: a comma, and the next value follows. False: its container ended.
    fn follow(&mut self, open: &mut Open) -> Option<bool> {
        self.space();
        match (self.next()?, open.is_object()) {
            (b',', true) => self.member_name().map(|_| true),
            (b',', false) => {
                self.space();
                Some(true)
            }
            (b'}', true) | (b']', false) => {
                open.pop();
                Some(false)
            }
            _ => None,
        }
    }

    /// A name and its colon, up to the value.
    fn member_name(&mut self) -> Option<Quoted<'a>> {
        self.space();
        let name = self.string()?;
        self.space();
        self.eat(b':')?;
        self.space();
        Some(name)
    }

    fn string(&mut self) -> Option<Quoted<'a>> {
        self.eat(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += ordinary_run(&self.text.as_bytes()[self.at..]);
            match self.next()? {
                b'"' => break,
                b'\\' => self.escape()?,
                _control => return None,
            }
            escaped = true;
        }
        // Both ends stand beside a quote, so they are character boundaries.
        let raw = &self.text[start..self.at - 1];
        Some(Quoted { raw, escaped })
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Option<()> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let digits = self.text.as_bytes().get(self.at..self.at + 4)?;
                self.at += 4;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())
            }
            _ => None,
        }
    }

    /// A number, `true`, `false` or `null`.
    fn literal(&mut self) -> Option<&'a str> {
        let rest = &self.text.as_bytes()[self.at..];
        let len = match *rest.first()? {
            b't' if rest.starts_with(b"true") => 4,
            b'f' if rest.starts_with(b"false") => 5,
            b'n' if rest.starts_with(b"null") => 4,
            _ => number_len(rest)?,
        };
        let raw = &self.text[self.at..self.at + len];
        self.at += len;
        Some(raw)
    }

    fn space(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        let len = rest.iter().take_while(|byte| is_space(**byte)).count();
        self.at += len;
        self.spaces += len;
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn eat(&mut self, expected: u8) -> Option<()> {
        (self.next()? == expected).then_some(())
    }
}

/// The containers around the scanner, one bit each: `DEPTH_MAX` of them fit a word.
struct Open {
    /// The lowest bit is the innermost container: 1 for an object, 0 for an array.
    objects: u64,
    depth: u32,
}

impl Open {
    fn push(&mut self, object: bool) -> Option<()> {
        self.objects = self.objects << 1 | u64::from(object);
        self.depth += 1;
        (self.depth <= DEPTH_MAX).then_some(())
    }

    fn pop(&mut self) {
        self.objects >>= 1;
        self.depth -= 1;
    }

    fn is_object(&self) -> bool {
        self.objects & 1 == 1
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// Length of the run of bytes that mean themselves inside a string. Looks at a block at a time, which compiles to
/// vector code.
fn ordinary_run(bytes: &[u8]) -> usize {
    const BLOCK: usize = 16;
    let special = |byte: u8| byte == b'"' || byte == b'\\' || byte < b' ';
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let clean = blocks
        .iter()
        .take_while(|block| !block.iter().fold(false, |any, byte| any | special(*byte)))
        .count();
    let rest = &bytes[clean * BLOCK..];
    clean * BLOCK + rest.iter().take_while(|byte| !special(**byte)).count()
}

/// Length of the number at the start of `bytes`, if one stands there.
fn number_len(bytes: &[u8]) -> Option<usize> {
    let digits = |from: usize| {
        let rest = bytes.get(from..).unwrap_or_default();
        rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let at_least_one = |from: usize| Some(digits(from)).filter(|count| *count > 0);
    let mut len = usize::from(bytes.first() == Some(&b'-'));
    len += match bytes.get(len) {
        Some(b'0') => 1,
        _ => at_least_one(len)?,
    };
    if bytes.get(len) == Some(&b'.') {
        len += 1 + at_least_one(len + 1)?;
    }
    if matches!(bytes.get(len), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(len + 1), Some(b'+' | b'-')));
        len += 1 + sign + at_least_one(len + 1 + sign)?;
    }
    Some(len)
}

/// Appends what `raw` means; its escapes were checked before.
fn unescape(raw: &str, out: &mut String) {
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let (character, len) = escaped_character(&rest[at..]);
        out.push(character);
        rest = &rest[at + len..];
    }
    out.push_str(rest);
}

/// The character that an escape means, and the length of the escape.
fn escaped_character(escape: &str) -> (char, usize) {
    match escape.as_bytes()[1] {
        b'b' => ('\u{8}', 2),
        b'f' => ('\u{c}', 2),
        b'n' => ('\n', 2),
        b'r' => ('\r', 2),
        b't' => ('\t', 2),
        b'u' => unicode_character(escape),
        itself => (char::from(itself), 2),
    }
}

fn unicode_character(escape: &str) -> (char, usize) {
    let Some(first) = code_unit(escape) else {
        return (char::REPLACEMENT_CHARACTER, 6);
    };
    let pair = [first, code_unit(&escape[6..]).unwrap_or_default()];
    match char::decode_utf16(pair).next() {
        Some(Ok(character)) => (character, 6 * character.len_utf16()),
        _ => (char::REPLACEMENT_CHARACTER, 6),
    }
}

/// The UTF-16 unit of a `\uXXXX` at the start of `text`.
fn code_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}

/// Appends JSON, that was checked before, without the white space outside of its strings.
fn compact(raw: &str, out: &mut String) {
    let mut rest = raw;
    while let Some(quote) = rest.find('"') {
        push_without_space(&rest[..quote], out);
        let string = &rest[quote..quote + string_len(&rest[quote..])];
        out.push_str(string);
        rest = &rest[quote + string.len()..];
    }
    push_without_space(rest, out);
}

fn push_without_space(text: &str, out: &mut String) {
    out.extend(text.split([' ', '\n', '\r', '\t']));
}

/// Length of the string at the start of `text`, with both quotes.
fn string_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    loop {
        at += ordinary_run(&bytes[at..]);
        match bytes.get(at) {
            Some(b'\\') => at += 2,
            _ => return at + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Collects objects as lists of (name, value).
    #[derive(Default)]
    struct Collected {
        objects: Vec<Vec<(String, String)>>,
        open: Vec<(String, String)>,
    }

    impl<'a> Sink<'a> for Collected {
        fn member(&mut self, name: Quoted<'a>, value: Value<'a>) {
            let (mut a, mut b) = (String::new(), String::new());
            self.open
                .push((name.plain(&mut a).into(), value.text(&mut b).into()));
        }

        fn end(&mut self) -> Option<()> {
            self.objects.push(std::mem::take(&mut self.open));
            Some(())
        }
    }

    fn expanded(text: &str) -> Option<Vec<Vec<(String, String)>>> {
        let mut sink = Collected::default();
        expand(text, ArrayRule::Expand, &mut sink)?;
        Some(sink.objects)
    }

    fn value(json: &str) -> Option<String> {
        let objects = expanded(&format!("{{\"a\":{json}}}"))?;
        Some(objects[0][0].1.clone())
    }

    #[track_caller]
    fn check(json: &str, expected: &str) {
        assert_eq!(value(json).as_deref(), Some(expected), "{json}");
    }

    #[test]
    fn scalars_become_plain_text() {
        check("\"text\"", "text");
        check("true", "true");
        check("false", "false");
        check("null", "");
        check("1.50e+07", "1.50e+07");
        check("-0", "-0");
        check(
            "123456789012345678901234567890",
            "123456789012345678901234567890",
        );
    }

    #[test]
    fn escapes_are_resolved() {
        check(r#""a\"\\\/\b\f\n\r\tz""#, "a\"\\/\u{8}\u{c}\n\r\tz");
        check(r#""\u00e9\u4F60\u0000""#, "é你\0");
        check(r#""\ud83d\ude80""#, "🚀");
    }

    #[test]
    fn a_lone_surrogate_becomes_the_replacement_character() {
        check(r#""\ud83d""#, "\u{fffd}");
        check(r#""\ud83d!""#, "\u{fffd}!");
        check(r#""\ude80\ud83d""#, "\u{fffd}\u{fffd}");
        check(r#""\ud83d\ud83d\ude80""#, "\u{fffd}🚀");
        check(r#""\ud83d\u0041\n""#, "\u{fffd}A\n");
    }

    #[test]
    fn nested_values_lose_white_space_outside_of_strings_only() {
        check(
            r#"{ "b" : [ 1 , "x \" y" , { } ] }"#,
            r#"{"b":[1,"x \" y",{}]}"#,
        );
        check("[\t1,\r\n2 ]", "[1,2]");
        check(r#"{"b":"x y"}"#, r#"{"b":"x y"}"#);
        check(r#"[ "\\" , " " ]"#, r#"["\\"," "]"#);
    }

    #[test]
    fn white_space_around_the_json_is_fine() {
        assert!(expanded(" \r\n\t{\"a\":1} \n").is_some());
        assert!(expanded("\u{a0}{\"a\":1}").is_none());
    }

    #[test]
    fn an_array_of_objects_gives_each_of_them() {
        let objects = expanded(r#" [ {"a":1} , {"b":2,"c":3} ] "#).unwrap();
        assert_eq!(objects.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn an_array_is_not_expanded_against_the_rule() {
        let mut sink = Collected::default();
        assert!(expand("[{\"a\":1}]", ArrayRule::Keep, &mut sink).is_none());
    }

    #[test]
    fn what_is_not_an_object_with_members_is_not_expanded() {
        for text in [
            "",
            " ",
            "{}",
            "[]",
            "[{}]",
            "[{\"a\":1},{}]",
            "[{\"a\":1},2]",
            "[1]",
            "1",
            "\"x\"",
            "null",
        ] {
            assert!(expanded(text).is_none(), "{text}");
        }
    }

    #[test]
    fn broken_json_is_not_expanded() {
        for text in [
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,}",
            "{\"a\":1}}",
            "{\"a\":1} x",
            "{a:1}",
            "[{\"a\":1}",
            "[{\"a\":1},]",
            "[{\"a\":1}}",
            "{\"a\":1 \"b\":2}",
            "{\"a\" 1}",
        ] {
            assert!(expanded(text).is_none(), "{text}");
        }
        for text in [
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "1e+",
            "-",
            "--1",
            "0x1",
            "NaN",
            "Infinity",
            "tru",
            "nul",
            "truex",
            "\"\u{1}\"",
            "\"\n\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\\u12\"",
            "\"a",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[}",
            "{\"b\"}",
            "{\"b\":}",
            "{,}",
            "{\"b\":1,}",
            "{1:2}",
            "[",
            "[[",
            "[]]",
            "'x'",
        ] {
            assert!(value(text).is_none(), "{text}");
        }
    }

    #[test]
    fn sixty_four_containers_may_nest_and_no_more() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(value(&nested(63)).is_some());
        assert!(value(&nested(64)).is_none());
        let in_array = |depth| expanded(&format!("[{{\"a\":{}}}]", nested(depth)));
        assert!(in_array(62).is_some());
        assert!(in_array(63).is_none());
    }

    #[test]
    fn a_megabyte_of_brackets_is_refused_without_recursion() {
        for bracket in ["[", "{\"a\":", "[{\"a\":"] {
            assert!(expanded(&bracket.repeat(1 << 20)).is_none());
        }
    }

    #[test]
    fn fields_and_elements_are_counted() {
        let object = |count: usize| format!("{{{}}}", vec!["\"a\":1"; count].join(","));
        assert!(expanded(&object(FIELDS_MAX)).is_some());
        assert!(expanded(&object(FIELDS_MAX + 1)).is_none());
        let array = |count: usize| format!("[{}]", vec!["{\"a\":1}"; count].join(","));
        assert!(expanded(&array(ELEMENTS_MAX)).is_some());
        assert!(expanded(&array(ELEMENTS_MAX + 1)).is_none());
    }

    /// JSON-like text: mostly grammar, so that the interesting branches are reached.
    fn json_like() -> impl Strategy<Value = String> {
        let token = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\\",
            "\"a\"",
            "\"\\u00e9\"",
            "\"\\ud800\"",
            "1",
            "-1.5e3",
            "0",
            "true",
            "null",
            " ",
            "\n",
            "é",
            "{\"k\":",
            "\"\"",
            "u",
            "\u{1}",
        ]);
        prop::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat())
    }

    proptest! {
        #[test]
        fn exactly_what_serde_accepts_is_expanded(text in json_like()) {
            let text = format!("{{\"a\":{text}}}");
            let raw = serde_json::from_str::<Box<serde_json::value::RawValue>>(&text);
            prop_assert_eq!(expanded(&text).is_some(), raw.is_ok());
        }

        #[test]
        fn any_text_is_taken_without_panic(text in any::<String>(), json in json_like()) {
            let _ = expanded(&text);
            let _ = expanded(&json);
        }

        #[test]
        fn compact_json_means_the_same(text in json_like()) {
            if let Some(compacted) = value(&text)
                && let Ok(nested @ (serde_json::Value::Object(_) | serde_json::Value::Array(_)))
                    = serde_json::from_str::<serde_json::Value>(&text)
            {
                prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&compacted).unwrap(), nested);
            }
        }
    }
}
