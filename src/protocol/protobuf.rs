//! Protobuf, as much of it as the client protocol and the server API have: varints, and bytes with
//! their length in front; numbers of fixed size are written and skipped (protobuf.dev, encoding).

/// Why bytes are not the Protobuf a client may say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    /// A length or a number that needs more bytes than came.
    #[error("message ends inside a field")]
    Truncated,
    /// A number of more than 64 bits.
    #[error("varint longer than 64 bits")]
    Varint,
    /// A field with a number or an encoding that does not exist, or a group.
    #[error("malformed field tag {tag}")]
    Tag {
        /// Field number times 8 plus wire type.
        tag: u64,
    },
    /// A known field in an encoding it does not have.
    #[error("field {field} has the wrong wire type")]
    WireType {
        /// Its number in its message.
        field: u32,
    },
    /// Bytes where text should be.
    #[error("field {field} is not UTF-8")]
    Encoding {
        /// Its number in its message.
        field: u32,
    },
}

/// One field of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field<'b> {
    /// Its number in its message.
    pub number: u32,
    value: Value<'b>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Value<'b> {
    Varint(u64),
    Bytes(&'b [u8]),
    /// 4 or 8 bytes: nothing here is written so, but a later version may.
    Fixed,
}

impl<'b> Field<'b> {
    /// The number in it.
    ///
    /// # Errors
    /// It is written in another way.
    pub const fn varint(self) -> Result<u64, DecodeError> {
        match self.value {
            Value::Varint(number) => Ok(number),
            Value::Bytes(_) | Value::Fixed => Err(DecodeError::WireType { field: self.number }),
        }
    }

    /// The bytes in it.
    ///
    /// # Errors
    /// It is written in another way.
    pub const fn bytes(self) -> Result<&'b [u8], DecodeError> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            Value::Varint(_) | Value::Fixed => Err(DecodeError::WireType { field: self.number }),
        }
    }

    /// The text in it.
    ///
    /// # Errors
    /// It is written in another way, or is not UTF-8.
    pub fn text(self) -> Result<&'b str, DecodeError> {
        str::from_utf8(self.bytes()?).map_err(|_where| DecodeError::Encoding { field: self.number })
    }
}

/// What is left of a message, or of messages one after another.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'b>(pub &'b [u8]);

impl<'b> Reader<'b> {
    /// The next field; `None` at the end.
    ///
    /// # Errors
    /// What comes is no field.
    pub fn field(&mut self) -> Result<Option<Field<'b>>, DecodeError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = match u32::try_from(tag) {
            Ok(tag) if tag >= 8 => tag >> 3,
            Ok(_) | Err(_) => return Err(DecodeError::Tag { tag }),
        };
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.take(8).map(|_skipped| Value::Fixed)?,
            2 => Value::Bytes(self.delimited()?),
            5 => self.take(4).map(|_skipped| Value::Fixed)?,
            _ => return Err(DecodeError::Tag { tag }),
        };
        Ok(Some(Field { number, value }))
    }

    /// Bytes with their length in front: a field, or a whole message.
    ///
    /// # Errors
    /// There are fewer.
    pub fn delimited(&mut self) -> Result<&'b [u8], DecodeError> {
        let len = self.varint()?;
        self.take(usize::try_from(len).unwrap_or(usize::MAX))
    }

    fn take(&mut self, len: usize) -> Result<&'b [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(DecodeError::Truncated)?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            let shifted = bits.wrapping_shl(shift);
            if shifted.wrapping_shr(shift) != bits {
                return Err(DecodeError::Varint);
            }
            number |= shifted;
            if *byte < 0x80 {
                return Ok(number);
            }
        }
        Err(DecodeError::Varint)
    }
}

/// Writes a number of a message; 0 is left out.
pub fn write_number(out: &mut Vec<u8>, field: u32, number: u64) {
    if number != 0 {
        write_present_number(out, field, number);
    }
}

/// Writes a number of a message, also when it is 0: that it is there says something.
pub fn write_present_number(out: &mut Vec<u8>, field: u32, number: u64) {
    write_varint(out, u64::from(field) << 3);
    write_varint(out, number);
}

/// Writes a number of 64 bits with a fraction; 0 is left out.
pub fn write_double(out: &mut Vec<u8>, field: u32, number: f64) {
    // Negative zero is not left out (protobuf.dev, "Default Values").
    if number.to_bits() != 0 {
        write_varint(out, (u64::from(field) << 3) | 1);
        out.extend_from_slice(&number.to_le_bytes());
    }
}

/// Writes text or bytes of a message; empty ones are left out.
pub fn write_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    if !bytes.is_empty() {
        write_message(out, field, |out| out.extend_from_slice(bytes));
    }
}

/// Writes a message in a message, also when it is empty: that it is there says something.
pub fn write_message(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    write_varint(out, (u64::from(field) << 3) | 2);
    write_delimited(out, write);
}

/// Writes whatever `write` writes, with its length in front.
pub fn write_delimited(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.push(0);
    write(out);
    let body_len = out.len().saturating_sub(start).saturating_sub(1);
    match (out.get_mut(start), u8::try_from(body_len)) {
        (Some(prefix), Ok(len)) if len < 0x80 => *prefix = len,
        _ => {
            // A length of several bytes moves what it belongs to. Most are of one.
            let mut prefix = Vec::with_capacity(VARINT_LEN_MAX);
            write_varint(&mut prefix, body_len as u64);
            out.splice(start..=start, prefix);
        }
    }
}

/// 64 bits in groups of 7.
const VARINT_LEN_MAX: usize = 10;

fn write_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        #[expect(clippy::cast_possible_truncation, reason = "the low seven bits are meant")]
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "less than 128")]
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(mut reader: Reader<'_>) -> Result<Vec<Field<'_>>, DecodeError> {
        let mut fields = Vec::new();
        while let Some(field) = reader.field()? {
            fields.push(field);
        }
        Ok(fields)
    }

    #[test]
    fn what_is_no_message_is_refused_by_its_first_fault() {
        for (bytes, error) in [
            (&[0x08][..], DecodeError::Truncated),
            (&[0x80], DecodeError::Truncated),
            (&[0x08, 0x80], DecodeError::Truncated),
            (&[0x0a, 0x02, b'a'], DecodeError::Truncated),
            (&[0x09, 1, 2, 3, 4, 5, 6, 7], DecodeError::Truncated),
            (&[0x0d, 1, 2, 3], DecodeError::Truncated),
            (
                &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
                DecodeError::Truncated,
            ),
            (
                &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
                DecodeError::Varint,
            ),
            (
                &[0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0],
                DecodeError::Varint,
            ),
            (&[0x00, 0x00], DecodeError::Tag { tag: 0 }),
            (&[0x0b, 0x0c], DecodeError::Tag { tag: 11 }),
            (&[0x0e], DecodeError::Tag { tag: 14 }),
            (&[0x80, 0x80, 0x80, 0x80, 0x10, 0], DecodeError::Tag { tag: 1 << 32 }),
        ] {
            assert_eq!(fields(Reader(bytes)), Err(error), "{bytes:x?}");
        }
    }

    #[test]
    fn a_field_is_read_only_as_what_it_is() {
        let read = fields(Reader(&[0x08, 5, 0x12, 1, 0xff, 0x1d, 1, 2, 3, 4])).unwrap();
        let [number, bytes, fixed] = read.as_slice() else { panic!("{read:?}") };
        assert_eq!(number.varint(), Ok(5));
        assert_eq!(number.bytes(), Err(DecodeError::WireType { field: 1 }));
        assert_eq!(bytes.bytes(), Ok([0xff].as_slice()));
        assert_eq!(bytes.text(), Err(DecodeError::Encoding { field: 2 }));
        assert_eq!(bytes.varint(), Err(DecodeError::WireType { field: 2 }));
        assert_eq!(fixed.varint(), Err(DecodeError::WireType { field: 3 }));
        assert_eq!(fixed.bytes(), Err(DecodeError::WireType { field: 3 }));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            number in any::<u64>(), small in 1..300_u64, len in 0..40_000_usize, field in 1..1000_u32,
        ) {
            let mut out = Vec::new();
            write_delimited(&mut out, |out| {
                write_number(out, field, number);
                write_number(out, field, small);
                write_message(out, field, |out| write_bytes(out, 1, &vec![7; len]));
            });
            let mut frame = Reader(&out);
            let read = fields(Reader(frame.delimited().unwrap())).unwrap();
            prop_assert!(frame.0.is_empty() && read.iter().all(|read| read.number == field));
            let [.., second, inner] = read.as_slice() else { panic!("{read:?}") };
            prop_assert_eq!(second.varint(), Ok(small));
            prop_assert_eq!(read.first().unwrap().varint(), Ok(if number == 0 { small } else { number }));
            let inner = fields(Reader(inner.bytes().unwrap())).unwrap();
            prop_assert_eq!(inner.first().map_or(0, |inner| inner.bytes().unwrap().len()), len);
        }

        #[test]
        fn any_bytes_are_fields_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            drop(fields(Reader(&bytes)));
        }
    }
}
