//! How a message and its fields are declared.

/// A message, in JSON an object.
#[derive(Debug)]
pub struct Message {
    /// Its name in Protobuf.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub doc: &'static str,
    /// Its fields.
    pub fields: &'static [Field],
}

/// One field, in JSON a member.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name in Protobuf and in JSON.
    pub name: &'static str,
    /// Its number in Protobuf.
    pub number: u32,
    /// What a value is.
    pub kind: Type,
    /// How many values there are.
    pub count: Count,
    /// Whether it may be absent, and whether that says something.
    pub presence: Presence,
    /// What it says, in sentences.
    pub doc: &'static str,
}

/// What a value is.
#[derive(Clone, Copy, Debug)]
pub enum Type {
    /// `string`
    Text,
    /// `bool`
    Bool,
    /// `uint32`
    Uint32,
    /// `int64`; in JSON a number, not a text.
    Int64,
    /// `double`
    Double,
    /// `bytes` that are a JSON text; in JSON that text as it is.
    Json,
    /// Another message.
    Message(&'static Message),
}

/// How many values a field has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Count {
    /// One.
    One,
    /// A list; `repeated`.
    Many,
    /// Values by a text; `map<string, …>`.
    Map,
}

/// Whether a field may be absent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Presence {
    /// It may, and that says what an empty value says.
    Implicit,
    /// It may, and that says something else than an empty value; `optional`.
    Explicit,
    /// It must be there: in a request or the command is refused, in a result always.
    Required,
}

impl Message {
    /// The place of the field of this number among all fields, if there is one.
    pub(in crate::api) fn place_of(&self, number: u32) -> Option<usize> {
        self.fields.iter().position(|field| field.number == number)
    }
}

pub(super) const fn message(
    name: &'static str,
    doc: &'static str,
    fields: &'static [Field],
) -> Message {
    Message { name, doc, fields }
}

pub(super) const fn text(name: &'static str, number: u32, doc: &'static str) -> Field {
    field(name, number, Type::Text, doc)
}

pub(super) const fn bool(name: &'static str, number: u32, doc: &'static str) -> Field {
    field(name, number, Type::Bool, doc)
}

pub(super) const fn uint32(name: &'static str, number: u32, doc: &'static str) -> Field {
    field(name, number, Type::Uint32, doc)
}

pub(super) const fn int64(name: &'static str, number: u32, doc: &'static str) -> Field {
    field(name, number, Type::Int64, doc)
}

pub(super) const fn double(name: &'static str, number: u32, doc: &'static str) -> Field {
    field(name, number, Type::Double, doc)
}

pub(super) const fn json(name: &'static str, number: u32, doc: &'static str) -> Field {
    field(name, number, Type::Json, doc)
}

pub(super) const fn part(
    name: &'static str,
    number: u32,
    message: &'static Message,
    doc: &'static str,
) -> Field {
    field(name, number, Type::Message(message), doc)
}

const fn field(name: &'static str, number: u32, kind: Type, doc: &'static str) -> Field {
    let (count, presence) = (Count::One, Presence::Implicit);
    Field { name, number, kind, count, presence, doc }
}

impl Field {
    pub(super) const fn many(self) -> Self {
        Self { count: Count::Many, ..self }
    }

    pub(super) const fn map(self) -> Self {
        Self { count: Count::Map, ..self }
    }

    pub(super) const fn required(self) -> Self {
        Self { presence: Presence::Required, ..self }
    }

    pub(super) const fn optional(self) -> Self {
        Self { presence: Presence::Explicit, ..self }
    }
}
