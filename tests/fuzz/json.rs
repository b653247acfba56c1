//! JSON (RFC 8259) read in the plainest way: every value with the text it stands in. Shares nothing
//! with the parsers it is compared with.

/// A value and the bytes it was read from.
#[derive(Clone, Debug)]
pub(crate) struct Json<'b> {
    pub(crate) raw: &'b str,
    pub(crate) value: Value<'b>,
}

#[derive(Clone, Debug)]
pub(crate) enum Value<'b> {
    Null,
    Bool,
    /// Its digits are in `raw`.
    Number,
    /// `None` when an escape is half a surrogate pair.
    Text(Option<String>),
    Array(Vec<Json<'b>>),
    /// In the order they stand; names may repeat.
    Object(Vec<(Option<String>, Json<'b>)>),
}

/// Why there is no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    Malformed,
    /// Deeper than this reader goes, which recurses.
    TooDeep,
}

const DEPTH_MAX: usize = 300;

/// The first value of a text and what follows it.
pub(crate) fn first(text: &str) -> Result<(Json<'_>, &str), Failure> {
    let mut reader = Reader { text, at: 0 };
    reader.space();
    let json = reader.value(0)?;
    Ok((json, &text[reader.at..]))
}

/// A text that is one value and nothing else.
pub(crate) fn only(text: &str) -> Result<Json<'_>, Failure> {
    let (json, rest) = first(text)?;
    if rest.trim_start_matches(SPACE).is_empty() { Ok(json) } else { Err(Failure::Malformed) }
}

const SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

impl<'b> Json<'b> {
    /// Brackets in brackets.
    pub(crate) fn depth(&self) -> usize {
        let inner = match &self.value {
            Value::Array(elements) => elements.iter().map(Json::depth).max(),
            Value::Object(members) => members.iter().map(|(_, value)| value.depth()).max(),
            Value::Null | Value::Bool | Value::Number | Value::Text(_) => return 0,
        };
        1 + inner.unwrap_or(0)
    }

    /// The last member of this name in any case. `Err` when a name is half a character.
    pub(crate) fn member(&self, name: &str) -> Result<Option<&Self>, ()> {
        let Value::Object(members) = &self.value else { return Ok(None) };
        let mut found = None;
        for (key, value) in members {
            if key.as_ref().ok_or(())?.eq_ignore_ascii_case(name) {
                found = Some(value);
            }
        }
        Ok(found)
    }

    pub(crate) const fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// A text that stands for one.
    pub(crate) fn text(&self) -> Result<String, ()> {
        if let Value::Text(Some(text)) = &self.value { Ok(text.clone()) } else { Err(()) }
    }

    pub(crate) const fn is_number(&self) -> bool {
        matches!(self.value, Value::Number)
    }

    pub(crate) const fn is_object(&self) -> bool {
        matches!(self.value, Value::Object(_))
    }
}

struct Reader<'b> {
    text: &'b str,
    at: usize,
}

impl<'b> Reader<'b> {
    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or_default()
    }

    fn next(&mut self) -> u8 {
        let byte = self.peek();
        self.at = self.text.len().min(self.at + 1);
        byte
    }

    fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    fn expect(&mut self, word: &str) -> Result<(), Failure> {
        let rest = self.text.get(self.at..).ok_or(Failure::Malformed)?;
        if !rest.starts_with(word) {
            return Err(Failure::Malformed);
        }
        self.at += word.len();
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Json<'b>, Failure> {
        if depth > DEPTH_MAX {
            return Err(Failure::TooDeep);
        }
        let start = self.at;
        let value = match self.peek() {
            b'n' => self.expect("null").map(|()| Value::Null)?,
            b't' => self.expect("true").map(|()| Value::Bool)?,
            b'f' => self.expect("false").map(|()| Value::Bool)?,
            b'"' => Value::Text(self.string()?),
            b'[' => Value::Array(self.list(b']', |reader| reader.value(depth + 1))?),
            b'{' => Value::Object(self.list(b'}', |reader| {
                let name = reader.string()?;
                reader.space();
                reader.expect(":")?;
                reader.space();
                Ok((name, reader.value(depth + 1)?))
            })?),
            _ => self.number().map(|()| Value::Number)?,
        };
        Ok(Json { raw: &self.text[start..self.at], value })
    }

    /// What stands between an opening bracket and `end`, with commas between.
    fn list<T>(
        &mut self,
        end: u8,
        mut element: impl FnMut(&mut Self) -> Result<T, Failure>,
    ) -> Result<Vec<T>, Failure> {
        self.at += 1;
        self.space();
        let mut elements = Vec::new();
        if self.peek() == end {
            self.at += 1;
            return Ok(elements);
        }
        loop {
            elements.push(element(self)?);
            self.space();
            match self.next() {
                b',' => self.space(),
                byte if byte == end => return Ok(elements),
                _ => return Err(Failure::Malformed),
            }
        }
    }

    fn number(&mut self) -> Result<(), Failure> {
        if self.peek() == b'-' {
            self.at += 1;
        }
        if self.peek() == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Failure> {
        let start = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(Failure::Malformed) }
    }

    fn string(&mut self) -> Result<Option<String>, Failure> {
        self.expect("\"")?;
        let mut units: Vec<u16> = Vec::new();
        loop {
            let rest = &self.text[self.at..];
            let c = rest.chars().next().ok_or(Failure::Malformed)?;
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(String::from_utf16(&units).ok()),
                '\\' => units.push(self.escape()?),
                '\0'..='\u{1f}' => return Err(Failure::Malformed),
                c => units.extend_from_slice(c.encode_utf16(&mut [0; 2])),
            }
        }
    }

    fn escape(&mut self) -> Result<u16, Failure> {
        Ok(u16::from(match self.next() {
            byte @ (b'"' | b'\\' | b'/') => byte,
            b'b' => 8,
            b't' => b'\t',
            b'n' => b'\n',
            b'f' => 0x0c,
            b'r' => b'\r',
            b'u' => {
                let digits = self.text.get(self.at..self.at + 4).ok_or(Failure::Malformed)?;
                self.at += 4;
                let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                let unit = u16::from_str_radix(digits, 16).ok().filter(|_| is_hex);
                return unit.ok_or(Failure::Malformed);
            }
            _ => return Err(Failure::Malformed),
        }))
    }
}
