//! The client protocol as its contract says it, in the plainest way: JSON through `json`, Protobuf
//! as a list of fields.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use rollcall::limits::CLIENT_JSON_DEPTH_MAX;
use rollcall::protocol::{Command, ConnectRequest, Request};

use crate::json::{self, Failure, Json, Value};

/// The model does not know: the text is deeper than it reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Unsure;

type Members<'b> = Result<Json<'b>, ()>;

const METHODS: [(&str, u32); 11] = [
    ("connect", 4),
    ("subscribe", 5),
    ("unsubscribe", 6),
    ("publish", 7),
    ("presence", 8),
    ("presence_stats", 9),
    ("history", 10),
    ("rpc", 13),
    ("send", 12),
    ("refresh", 14),
    ("sub_refresh", 15),
];

/// Which method counts, and whether it is anything but a pong. `asked` are those that are there.
fn chosen(id: u32, asked: &[&'static str]) -> Chosen {
    match asked.first() {
        _ if id == 0 && !asked.contains(&"send") => Chosen::Pong,
        None => Chosen::Unknown,
        Some(method) if id == 0 && *method != "send" => Chosen::Unknown,
        Some(method) => Chosen::Method(method),
    }
}

enum Chosen {
    Pong,
    Unknown,
    Method(&'static str),
}

fn request<'m>(
    method: &str,
    text: impl Fn(&str, u32) -> Result<Cow<'m, str>, ()>,
    data: impl Fn() -> Result<&'m [u8], ()>,
) -> Result<Request<'m>, ()> {
    let channel = || text("channel", 1);
    Ok(match method {
        "subscribe" => Request::Subscribe(channel()?),
        "unsubscribe" => Request::Unsubscribe(channel()?),
        "publish" => Request::Publish(channel()?),
        "presence" => Request::Presence(channel()?),
        "presence_stats" => Request::PresenceStats(channel()?),
        "history" => Request::History(channel()?),
        "sub_refresh" => Request::SubRefresh(channel()?),
        "rpc" => Request::Rpc { method: text("method", 2)?, data: data()? },
        "send" => Request::Send { data: data()? },
        "refresh" => Request::Refresh { token: text("token", 1)? },
        other => unreachable!("{other}"),
    })
}

/// The commands of a JSON message; the last may be an error.
pub(crate) fn commands_json(message: &[u8]) -> Result<Vec<Result<Command<'_>, ()>>, Unsure> {
    let mut commands = Vec::new();
    let mut lines: Vec<&[u8]> = message.split(|byte| *byte == b'\n').collect();
    if lines.len() > 1 && lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    for line in lines {
        let command = sure(members(line).and_then(|object| command_json(&object?)))?;
        let is_error = command.is_err();
        commands.push(command);
        if is_error {
            break;
        }
    }
    Ok(commands)
}

fn sure<T>(read: Result<T, Fault>) -> Result<Result<T, ()>, Unsure> {
    match read {
        Ok(value) => Ok(Ok(value)),
        Err(Fault::Wrong) => Ok(Err(())),
        Err(Fault::Unsure) => Err(Unsure),
    }
}

/// Why a model reads nothing.
enum Fault {
    Wrong,
    Unsure,
}

impl From<()> for Fault {
    fn from((): ()) -> Self {
        Self::Wrong
    }
}

/// The object or null a text begins with.
fn members(text: &[u8]) -> Result<Members<'_>, Fault> {
    let text = str::from_utf8(text).map_err(|_bytes| Fault::Wrong)?;
    match json::first(text) {
        Ok((json, _)) if json.is_object() || json.is_null() => Ok(Ok(json)),
        Ok(_) | Err(Failure::Malformed) => Ok(Err(())),
        Err(Failure::TooDeep) => Err(Fault::Unsure),
    }
}

fn command_json<'m>(object: &Json<'m>) -> Result<Command<'m>, Fault> {
    let id = match object.member("id")? {
        None => 0,
        Some(json) if json.is_null() => 0,
        Some(json) if json.is_number() => json.raw.parse().map_err(|_range| Fault::Wrong)?,
        Some(_) => return Err(Fault::Wrong),
    };
    let mut bodies = HashMap::new();
    let mut asked = Vec::new();
    for (name, _) in METHODS {
        let Some(body) = object.member(name)?.filter(|body| !body.is_null()) else { continue };
        if !body.is_object() {
            return Err(Fault::Wrong);
        }
        asked.push(name);
        bodies.insert(name, body.clone());
    }
    let request = match chosen(id, &asked) {
        Chosen::Pong => Request::Pong,
        Chosen::Unknown => Request::Unknown,
        Chosen::Method("connect") => Request::Connect(connect_members(&bodies["connect"])?),
        Chosen::Method(method) => {
            let body = &bodies[method];
            request(
                method,
                |name, _| Ok(Cow::Owned(text(body, name)?)),
                || Ok(data(body)?.unwrap_or_default().as_bytes()),
            )?
        }
    };
    Ok(Command { id, request })
}

fn text(object: &Json<'_>, name: &str) -> Result<String, ()> {
    object.member(name)?.filter(|json| !json.is_null()).map_or(Ok(String::new()), Json::text)
}

fn data<'m>(object: &Json<'m>) -> Result<Option<&'m str>, ()> {
    let Some(json) = object.member("data")? else { return Ok(None) };
    if json.depth() > CLIENT_JSON_DEPTH_MAX { Err(()) } else { Ok(Some(json.raw)) }
}

fn connect_members(object: &Json<'_>) -> Result<ConnectRequest, ()> {
    let subs = every(object, "subs", |json| json.is_object())?;
    let headers = every(object, "headers", |json| matches!(json.value, Value::Text(_)))?;
    let header = |(name, json): (String, &Json<'_>)| {
        let Value::Text(Some(value)) = &json.value else { return None };
        (!name.is_empty() && !value.is_empty()).then(|| (name, value.clone()))
    };
    match object.member("flag")? {
        None => {}
        Some(json) if json.is_null() => {}
        Some(json) if json.is_number() => {
            json.raw.parse::<i64>().map(drop).map_err(drop)?;
        }
        Some(_) => return Err(()),
    }
    Ok(ConnectRequest {
        token: text(object, "token")?,
        name: text(object, "name")?,
        version: text(object, "version")?,
        data: data(object)?.map(|data| data.as_bytes().into()),
        channels: subs.into_keys().filter(|name| !name.is_empty()).collect(),
        headers: headers.into_iter().filter_map(header).collect(),
    })
}

/// The values of the object under this name, if each is null or as it should be; of two with the
/// same key the last counts.
fn every<'o, 'b>(
    object: &'o Json<'b>,
    name: &str,
    is_good: fn(&Json<'_>) -> bool,
) -> Result<BTreeMap<String, &'o Json<'b>>, ()> {
    let mut values = BTreeMap::new();
    let Some(json) = object.member(name)?.filter(|json| !json.is_null()) else { return Ok(values) };
    let Value::Object(members) = &json.value else { return Err(()) };
    for (key, value) in members {
        values.insert(key.clone().ok_or(())?, value);
    }
    let is_good = values.values().all(|value| value.is_null() || is_good(value));
    if is_good { Ok(values) } else { Err(()) }
}

/// A connect request in JSON.
pub(crate) fn connect_json(body: &[u8]) -> Result<Result<ConnectRequest, ()>, Unsure> {
    sure(members(body).and_then(|object| Ok(connect_members(&object?)?)))
}

/// Session, node and data of an emulation request.
type Emulation = (Option<[u8; 16]>, (String, Vec<u8>));

/// An emulation request in JSON.
pub(crate) fn emulation_json(body: &[u8]) -> Result<Result<Emulation, ()>, Unsure> {
    sure(members(body).and_then(|object| {
        let object = object?;
        let session = uuid(&text(&object, "session")?);
        Ok((session, (text(&object, "node")?, text(&object, "data")?.into_bytes())))
    }))
}

fn uuid(text: &str) -> Option<[u8; 16]> {
    let groups: Vec<&str> = text.split('-').collect();
    let lens: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let digits = groups.concat();
    let is_uuid = lens == [8, 4, 4, 4, 12] && digits.bytes().all(|b| b.is_ascii_hexdigit());
    is_uuid.then(|| u128::from_str_radix(&digits, 16).expect("32 hex digits").to_be_bytes())
}

/// A field of a Protobuf message.
enum Field<'b> {
    Varint(u64),
    Bytes(&'b [u8]),
    Fixed,
}

impl<'b> Field<'b> {
    const fn bytes(&self) -> Result<&'b [u8], ()> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(()) }
    }

    fn text(&self) -> Result<&'b str, ()> {
        str::from_utf8(self.bytes()?).map_err(drop)
    }

    const fn varint(&self) -> Result<u64, ()> {
        if let Self::Varint(number) = self { Ok(*number) } else { Err(()) }
    }
}

fn varint(bytes: &mut &[u8]) -> Result<u64, ()> {
    let end = bytes.iter().take(10).position(|byte| byte & 0x80 == 0).ok_or(())?;
    let groups = bytes.split_off(..=end).ok_or(())?;
    let number =
        groups.iter().rev().fold(0_u128, |number, byte| number << 7 | u128::from(byte & 0x7f));
    u64::try_from(number).map_err(drop)
}

fn delimited<'b>(bytes: &mut &'b [u8]) -> Result<&'b [u8], ()> {
    let len = varint(bytes)?;
    if len > bytes.len() as u64 {
        return Err(());
    }
    bytes.split_off(..usize::try_from(len).map_err(drop)?).ok_or(())
}

fn fields(mut bytes: &[u8]) -> Result<Vec<(u32, Field<'_>)>, ()> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = u32::try_from(varint(&mut bytes)?).map_err(drop)?;
        let field = match tag % 8 {
            0 => Field::Varint(varint(&mut bytes)?),
            1 => bytes.split_off(..8).map(|_| Field::Fixed).ok_or(())?,
            2 => Field::Bytes(delimited(&mut bytes)?),
            5 => bytes.split_off(..4).map(|_| Field::Fixed).ok_or(())?,
            _ => return Err(()),
        };
        if tag < 8 {
            return Err(());
        }
        fields.push((tag / 8, field));
    }
    Ok(fields)
}

/// The commands of a Protobuf message; the last may be an error.
pub(crate) fn commands_protobuf(mut message: &[u8]) -> Vec<Result<Command<'_>, ()>> {
    let mut commands = Vec::new();
    loop {
        let command = delimited(&mut message).and_then(command_protobuf);
        let is_error = command.is_err();
        commands.push(command);
        if is_error || message.is_empty() {
            return commands;
        }
    }
}

fn command_protobuf(message: &[u8]) -> Result<Command<'_>, ()> {
    let mut id = 0;
    let mut bodies = HashMap::new();
    for (number, field) in fields(message)? {
        if number == 1 {
            id = u32::try_from(field.varint()? & 0xffff_ffff).map_err(drop)?;
        } else if let Some((name, _)) = METHODS.iter().find(|(_, other)| *other == number) {
            bodies.insert(*name, field.bytes()?);
        }
    }
    let asked: Vec<_> =
        METHODS.iter().map(|(name, _)| *name).filter(|name| bodies.contains_key(name)).collect();
    let request = match chosen(id, &asked) {
        Chosen::Pong => Request::Pong,
        Chosen::Unknown => Request::Unknown,
        Chosen::Method("connect") => Request::Connect(connect_protobuf(bodies["connect"])?),
        Chosen::Method(method) => {
            let all = || fields(bodies[method]);
            let last =
                |number| Ok::<_, ()>(all()?.into_iter().rfind(|(other, _)| *other == number));
            request(
                method,
                |_, number| match last(number)? {
                    Some((_, field)) => Ok(Cow::Borrowed(field.text()?)),
                    None => Ok(Cow::Borrowed("")),
                },
                || match last(1)? {
                    Some((_, field)) => field.bytes(),
                    None => Ok(b""),
                },
            )?
        }
    };
    Ok(Command { id, request })
}

/// An entry of a map of texts, its value empty when it is no text; one without a name is none.
fn entry(bytes: &[u8]) -> Option<(String, String)> {
    let (mut name, mut value) = (String::new(), Vec::new());
    for (number, field) in fields(bytes).ok()? {
        match number {
            1 => name = field.text().ok()?.to_owned(),
            2 => value = field.bytes().ok()?.to_vec(),
            _ => {}
        }
    }
    (!name.is_empty()).then(|| (name, String::from_utf8(value).unwrap_or_default()))
}

/// A connect request in Protobuf.
pub(crate) fn connect_protobuf(message: &[u8]) -> Result<ConnectRequest, ()> {
    let mut request = ConnectRequest::default();
    for (number, field) in fields(message)? {
        match number {
            1 => request.token = field.text()?.to_owned(),
            2 => request.data = Some(field.bytes()?.into()),
            3 => request.channels.extend(entry(field.bytes()?).map(|(name, _)| name)),
            6 => {
                let header = entry(field.bytes()?);
                request.headers.extend(header.filter(|(_, value)| !value.is_empty()));
            }
            4 => request.name = field.text()?.to_owned(),
            5 => request.version = field.text()?.to_owned(),
            7 => drop(field.varint()?),
            _ => {}
        }
    }
    Ok(request)
}

/// An emulation request in Protobuf.
pub(crate) fn emulation_protobuf(body: &[u8]) -> Result<Emulation, ()> {
    let mut request = Emulation::default();
    for (number, field) in fields(body)? {
        match number {
            1 => request.1.0 = field.text()?.to_owned(),
            2 => request.0 = uuid(field.text()?),
            3 => request.1.1 = field.bytes()?.to_vec(),
            _ => {}
        }
    }
    Ok(request)
}
