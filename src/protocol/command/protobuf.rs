//! Commands in Protobuf: one after another, each with its length in front. An empty one is a pong.

use std::borrow::Cow;

use super::{Body, Command, Envelope, Member, MessageError};
use crate::protocol::ConnectRequest;
use crate::protocol::protobuf::{DecodeError, Field, Reader};

/// Reads the first command; hands back the others.
pub(super) fn next_command(message: &[u8]) -> Result<(Command<'_>, &[u8]), MessageError> {
    let mut reader = Reader(message);
    let command = reader.delimited()?;
    Ok((shell(command)?.open()?, reader.0))
}

fn shell(command: &[u8]) -> Result<Envelope<Message<'_>>, DecodeError> {
    let mut shell = Envelope::EMPTY;
    let mut reader = Reader(command);
    while let Some(field) = reader.field()? {
        if field.number == 1 {
            #[expect(clippy::cast_possible_truncation, reason = "as every Protobuf reader does")]
            let id = field.varint()? as u32;
            shell.id = id;
        } else if let Some(body) = shell.place(|_, number| number == field.number) {
            *body = Some(Message(field.bytes()?));
        }
    }
    Ok(shell)
}

/// The bytes of a message.
#[derive(Clone, Copy)]
struct Message<'m>(&'m [u8]);

impl<'m> Message<'m> {
    fn member(self, number: u32) -> Result<Option<Field<'m>>, DecodeError> {
        let mut found = None;
        let mut reader = Reader(self.0);
        while let Some(field) = reader.field()? {
            if field.number == number {
                found = Some(field);
            }
        }
        Ok(found)
    }
}

impl<'m> Body<'m> for Message<'m> {
    fn connect(self) -> Result<ConnectRequest, MessageError> {
        Ok(ConnectRequest::parse_protobuf(self.0)?)
    }

    fn text(self, (_, number): Member) -> Result<Cow<'m, str>, MessageError> {
        let text = self.member(number)?.map(Field::text).transpose()?;
        Ok(Cow::Borrowed(text.unwrap_or_default()))
    }

    fn data(self, (_, number): Member) -> Result<&'m [u8], MessageError> {
        Ok(self.member(number)?.map(Field::bytes).transpose()?.unwrap_or_default())
    }
}
