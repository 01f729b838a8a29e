//! An answer as a flat list of fields, each a path and a value in text.

use std::collections::BTreeMap;

use bytes::{Buf, TryGetError};

use super::schemas::{API_VERSIONS, Api, Field, Kind};

/// `topics[logstore-1].partitions[0].error_code` → `3`. Elements go by the value of their key, with the number of the
/// repetition where one occurs again.
pub type Fields = BTreeMap<String, String>;

/// UNSUPPORTED_VERSION: its answer has the shape of version 0.
const UNSUPPORTED_VERSION: [u8; 2] = [0, 35];

/// Reads the frame of an answer, without its size prefix.
pub fn read(api: &Api, version: i16, mut frame: &[u8]) -> Result<Fields, String> {
    let told_version = match (api.key == API_VERSIONS.key, frame.get(4..6)) {
        (true, Some(error)) if error == UNSUPPORTED_VERSION => 0,
        _ => version,
    };
    let flexible = told_version >= api.flexible_from;
    let mut reader = Reader {
        rest: &mut frame,
        version: told_version,
        flexible,
    };
    let fields = reader
        .answer(api)
        .map_err(|error| format!("cut: {error}"))?;
    match frame.len() {
        0 => Ok(fields),
        left => Err(format!("{left} bytes follow the last field")),
    }
}

struct Reader<'a, 'b> {
    rest: &'b mut &'a [u8],
    version: i16,
    flexible: bool,
}

type Read<T> = Result<T, TryGetError>;

impl Reader<'_, '_> {
    fn answer(&mut self, api: &Api) -> Read<Fields> {
        let _correlation_id = self.rest.try_get_i32()?;
        let mut fields = Fields::new();
        // The header of ApiVersions is never flexible (KIP-511).
        if self.flexible && api.key != API_VERSIONS.key {
            self.tags("header.", &mut fields)?;
        }
        fields.extend(self.structure(api.answer)?);
        Ok(fields)
    }

    fn structure(&mut self, schema: &[Field]) -> Read<Fields> {
        let mut fields = Fields::new();
        for field in schema {
            if (field.since..=field.until).contains(&self.version) {
                self.field(field, &mut fields)?;
            }
        }
        self.tags("", &mut fields)?;
        Ok(fields)
    }

    fn field(&mut self, field: &Field, fields: &mut Fields) -> Read<()> {
        let value = match field.kind {
            Kind::Bool => (self.rest.try_get_u8()? != 0).to_string(),
            Kind::I16 => self.rest.try_get_i16()?.to_string(),
            Kind::I32 => self.rest.try_get_i32()?.to_string(),
            Kind::I64 => self.rest.try_get_i64()?.to_string(),
            Kind::Uuid => format!("{:032x}", self.rest.try_get_u128()?),
            Kind::Text => self.text()?,
            Kind::Bytes => match self.length()? {
                None => "null".to_owned(),
                Some(length) => format!("{} bytes", self.take(length)?.len()),
            },
            Kind::I32s => self.numbers()?,
            Kind::Array(schema) => return self.array(field.name, schema, fields),
            Kind::Rest => {
                self.rest.advance(self.rest.len());
                "some".to_owned()
            }
        };
        fields.insert(field.name.to_owned(), value);
        Ok(())
    }

    fn array(&mut self, name: &str, schema: &[Field], fields: &mut Fields) -> Read<()> {
        let count = self.length()?;
        let told = count.map_or("null", |_| "an array");
        fields.insert(name.to_owned(), told.to_owned());
        let mut seen = BTreeMap::<String, usize>::new();
        for index in 0..count.unwrap_or(0) {
            let element = self.structure(schema)?;
            let key = schema.iter().find(|field| field.is_key);
            let mut key = key.map_or(index.to_string(), |key| element[key.name].clone());
            let times = seen.entry(key.clone()).or_default();
            *times += 1;
            if *times > 1 {
                key = format!("{key} again");
            }
            let path = |(field, value)| (format!("{name}[{key}].{field}"), value);
            fields.extend(element.into_iter().map(path));
        }
        Ok(())
    }

    fn numbers(&mut self) -> Read<String> {
        let mut numbers = Vec::new();
        for _ in 0..self.length()?.unwrap_or(0) {
            numbers.push(self.rest.try_get_i32()?);
        }
        Ok(format!("{numbers:?}"))
    }

    fn text(&mut self) -> Read<String> {
        let length = if self.flexible {
            self.length()?
        } else {
            usize::try_from(self.rest.try_get_i16()?).ok()
        };
        Ok(match length {
            None => "null".to_owned(),
            Some(length) => String::from_utf8_lossy(&self.take(length)?).into_owned(),
        })
    }

    /// `None`: null.
    fn length(&mut self) -> Read<Option<usize>> {
        if !self.flexible {
            return Ok(usize::try_from(self.rest.try_get_i32()?).ok());
        }
        Ok((self.unsigned_varint()? as usize).checked_sub(1))
    }

    /// Tagged fields, which no answer needs: as they came.
    fn tags(&mut self, place: &str, fields: &mut Fields) -> Read<()> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.unsigned_varint()? {
            let tag = self.unsigned_varint()?;
            let length = self.unsigned_varint()? as usize;
            let value = self.take(length)?;
            fields.insert(
                format!("{place}tag {tag}"),
                format!("{} bytes", value.len()),
            );
        }
        Ok(())
    }

    fn unsigned_varint(&mut self) -> Read<u32> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.rest.try_get_u8()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        Ok(value)
    }

    fn take(&mut self, length: usize) -> Read<Vec<u8>> {
        if length > self.rest.len() {
            return Err(TryGetError {
                requested: length,
                available: self.rest.len(),
            });
        }
        Ok(self.rest.copy_to_bytes(length).into())
    }
}
