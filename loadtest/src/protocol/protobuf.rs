//! The Protobuf form, read and written by hand: the field numbers of the published
//! `client.proto`, the wire format of protobuf.dev/programming-guides/encoding.

use rollcall::ids::ClientId;

use super::{APP_NAME, APP_VERSION, Connected, Emulated, Told};

/// Wire types: a number, or bytes with their length in front. No message here uses others.
const VARINT: u64 = 0;
const BYTES: u64 = 2;

/// A value as it stands on the wire.
#[derive(Clone, Copy)]
enum Value<'m> {
    Number(u64),
    Bytes(&'m [u8]),
}

impl<'m> Value<'m> {
    fn number(self) -> Option<u32> {
        match self {
            Self::Number(number) => u32::try_from(number).ok(),
            Self::Bytes(_) => None,
        }
    }

    const fn bytes(self) -> Option<&'m [u8]> {
        match self {
            Self::Number(_) => None,
            Self::Bytes(bytes) => Some(bytes),
        }
    }

    fn text(self) -> Option<&'m str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

/// Takes a varint off the front.
fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7F) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Takes bytes with their length off the front.
fn take_bytes<'m>(bytes: &mut &'m [u8]) -> Option<&'m [u8]> {
    let len = usize::try_from(take_varint(bytes)?).ok()?;
    let (taken, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(taken)
}

/// Shows each field; `None` if the message is broken or `field` says so.
fn each<'m>(
    mut message: &'m [u8],
    mut field: impl FnMut(u64, Value<'m>) -> Option<()>,
) -> Option<()> {
    while !message.is_empty() {
        let tag = take_varint(&mut message)?;
        let value = match tag & 7 {
            VARINT => Value::Number(take_varint(&mut message)?),
            BYTES => Value::Bytes(take_bytes(&mut message)?),
            _ => return None,
        };
        field(tag >> 3, value)?;
    }
    Some(())
}

/// The messages of a frame, each with its length in front.
pub(super) fn split(mut payload: &[u8]) -> Option<Vec<&[u8]>> {
    let mut messages = Vec::new();
    while !payload.is_empty() {
        messages.push(take_bytes(&mut payload)?);
    }
    Some(messages)
}

/// A `Reply`: error = 2, push = 4, connect = 5.
pub(super) fn read_reply(message: &[u8]) -> Option<Told> {
    if message.is_empty() {
        return Some(Told::Ping);
    }
    let mut told = Told::Other;
    each(message, |number, value| {
        match number {
            2 => told = ended(value.bytes()?)?,
            4 => told = read_push(value.bytes()?)?,
            5 => told = connected(value.bytes()?)?,
            _ => {}
        }
        Some(())
    })?;
    Some(told)
}

/// A `Push`: connect = 10, disconnect = 11.
pub(super) fn read_push(message: &[u8]) -> Option<Told> {
    if message.is_empty() {
        return Some(Told::Ping);
    }
    let mut told = Told::Other;
    each(message, |number, value| {
        match number {
            10 => told = connected(value.bytes()?)?,
            11 => told = ended(value.bytes()?)?,
            _ => {}
        }
        Some(())
    })?;
    Some(told)
}

/// `ConnectResult` and `Connect`, whose numbers are the same for what is read here: client = 1,
/// ping = 7, pong = 8, session = 9, node = 10.
fn connected(message: &[u8]) -> Option<Told> {
    let uuid = |text: &str| rollcall::ids::uuid_parse(text.as_bytes());
    let (mut client, mut session, mut node) = (None, None, None);
    let (mut ping_s, mut wants_pong) = (0, false);
    each(message, |number, value| {
        match number {
            1 => client = Some(ClientId::parse(value.text()?)?),
            7 => ping_s = value.number()?,
            8 => wants_pong = value.number()? != 0,
            9 => session = Some(uuid(value.text()?)?),
            10 => node = Some(value.text()?.to_owned()),
            _ => {}
        }
        Some(())
    })?;
    let emulation = session.zip(node).map(|(session, node)| Emulated { session, node });
    Some(Told::Connected(Connected { client: client?, ping_s, wants_pong, emulation }))
}

/// `Error` and `Disconnect` alike: code = 1, text = 2.
fn ended(message: &[u8]) -> Option<Told> {
    let (mut code, mut reason) = (0, String::new());
    each(message, |number, value| {
        match number {
            1 => code = value.number()?,
            2 => reason = value.text()?.to_owned(),
            _ => {}
        }
        Some(())
    })?;
    Some(Told::Ended { code, reason })
}

pub(super) fn connect_request(token: &str) -> Vec<u8> {
    let mut request = Vec::new();
    for (number, text) in [(1, token), (4, APP_NAME), (5, APP_VERSION)] {
        put_bytes(&mut request, number, text.as_bytes());
    }
    request
}

/// `Command { id = 1, connect = 4 }` with its length in front.
pub(super) fn connect_command(token: &str) -> Vec<u8> {
    let mut command = vec![1 << 3, 1];
    put_bytes(&mut command, 4, &connect_request(token));
    let mut framed = Vec::new();
    put_varint(&mut framed, command.len());
    framed.extend_from_slice(&command);
    framed
}

/// A field of bytes; `number` is below 16.
fn put_bytes(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    put_varint(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        let low = u8::try_from(value & 0x7F).expect("seven bits");
        out.push(low | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).expect("below 128"));
}
