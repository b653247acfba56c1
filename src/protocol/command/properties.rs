//! Commands of independent encoders, changed bytes and any bytes.

use proptest::prelude::*;
use prost::Message;

use super::tests::{command, named, read};
use super::*;
use crate::protocol::schema;

/// What the independent encoder was given, as ours should read it.
fn expected(command: &schema::Command) -> Command<'_> {
    let channel = |request: &'_ Option<schema::ChannelRequest>| {
        request.clone().map(|request| Cow::<'_, str>::Owned(request.first))
    };
    let rpc = command
        .rpc
        .as_ref()
        .map(|rpc| Request::Rpc { method: rpc.method.as_str().into(), data: rpc.data.as_slice() });
    let send = command.send.as_ref().map(|send| Request::Send { data: send.data.as_slice() });
    let connect = command.connect.as_ref().map(|connect| {
        Request::Connect(ConnectRequest {
            token: connect.token.clone(),
            name: connect.name.clone(),
            version: connect.version.clone(),
            data: Some(connect.data.as_slice()).filter(|data| !data.is_empty()).map(Box::from),
            channels: connect.subs.keys().filter(|name| !name.is_empty()).cloned().collect(),
            headers: connect
                .headers
                .iter()
                .filter(|(name, value)| !name.is_empty() && !value.is_empty())
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        })
    });
    let request = connect
        .or_else(|| channel(&command.subscribe).map(Request::Subscribe))
        .or_else(|| channel(&command.unsubscribe).map(Request::Unsubscribe))
        .or_else(|| channel(&command.publish).map(Request::Publish))
        .or_else(|| channel(&command.presence).map(Request::Presence))
        .or_else(|| channel(&command.presence_stats).map(Request::PresenceStats))
        .or_else(|| channel(&command.history).map(Request::History))
        .or(rpc)
        .or(send)
        .or_else(|| channel(&command.refresh).map(|token| Request::Refresh { token }))
        .or_else(|| channel(&command.sub_refresh).map(Request::SubRefresh))
        .unwrap_or(Request::Unknown);
    Command { id: command.id, request }
}

prop_compose! {
    fn any_connect()(
        token in ".*",
        data in prop::collection::vec(any::<u8>(), 0..300),
        name in ".*",
        version in ".*",
        flag in any::<i64>(),
        headers in prop::collection::hash_map(".*", ".*", 0..3),
        subs in prop::collection::hash_map(".*", Just(schema::Empty {}), 0..3),
    ) -> schema::ConnectRequest {
        schema::ConnectRequest { token, data, subs, name, version, headers, flag }
    }
}

/// A command with an id and the requests whose bits are set.
fn any_command() -> impl Strategy<Value = schema::Command> {
    let data = (prop::collection::vec(any::<u8>(), 0..300), ".*")
        .prop_map(|(data, method)| schema::DataRequest { data, method });
    let channel =
        (".*", any::<u64>()).prop_map(|(first, offset)| schema::ChannelRequest { first, offset });
    let bits = prop_oneof![Just(0), any::<u16>(), (0..12_u32).prop_map(|bit| 1 << bit)];
    (1..=u32::MAX, bits, any_connect(), channel, data).prop_map(
        |(id, bits, connect, first, data)| {
            let channel = |bit: u32| (bits >> bit & 1 == 1).then(|| first.clone());
            schema::Command {
                id,
                connect: (bits & 1 == 1).then_some(connect),
                rpc: (bits & 2 != 0).then(|| data.clone()),
                send: (bits & 4 != 0).then_some(data),
                subscribe: channel(3),
                unsubscribe: channel(4),
                publish: channel(5),
                presence: channel(6),
                presence_stats: channel(7),
                history: channel(8),
                refresh: channel(9),
                sub_refresh: channel(10),
                ping: (bits >> 11 & 1 == 1).then_some(schema::Empty {}),
            }
        },
    )
}

proptest! {
    #[test]
    fn what_another_encoder_writes_is_read(sent in prop::collection::vec(any_command(), 1..4)) {
        let frame: Vec<u8> = sent.iter().flat_map(Message::encode_length_delimited_to_vec).collect();
        let expected: Vec<_> = sent.iter().map(expected).map(Ok).collect();
        prop_assert_eq!(read(Encoding::Protobuf, &frame), expected);
    }

    #[test]
    fn json_lines_of_another_encoder_are_read(
        id in 1..=u32::MAX, method in ".*", data in ".*", channel in ".*", name in ".*",
    ) {
        let lines = [
            serde_json::json!({"id": id, "connect": {"name": name}}),
            serde_json::json!({"id": id, "rpc": {"data": data, "method": method}}),
            serde_json::json!({"id": id, "subscribe": {"channel": channel}}),
        ];
        let message = lines.map(|line| line.to_string()).join("\n");
        let data = serde_json::to_vec(&data).unwrap();
        prop_assert_eq!(read(Encoding::Json, message.as_bytes()), [
            command(id, named(&name)),
            command(id, Request::Rpc { method: method.into(), data: &data }),
            command(id, Request::Subscribe(channel.into())),
        ]);
    }

    #[test]
    fn any_bytes_are_commands_or_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        text in r#"([{}\[\]",:\n\\0-9]|"id":1|"rpc":|"connect":|"data":|"send":|"channel":"c"|null)*"#,
    ) {
        for (encoding, message) in [
            (Encoding::Json, bytes.as_slice()),
            (Encoding::Json, text.as_bytes()),
            (Encoding::Protobuf, bytes.as_slice()),
        ] {
            let read = read(encoding, message);
            let errors = read.iter().filter(|read| read.is_err()).count();
            prop_assert!(!read.is_empty() && read.len() <= message.len().max(1));
            prop_assert!(errors == 0 || (errors == 1 && read.last().is_some_and(Result::is_err)));
        }
    }

    /// Reading can stop after any command and go on later: nothing is kept but the bytes.
    #[test]
    fn what_is_left_after_a_command_is_a_message_of_its_own(
        sent in prop::collection::vec(any_command(), 1..4),
        text in r#"(\{"id":1,"connect":\{\}\}|\{\}|\{"send":\{\}\}|x)(\n(\{\}|x|)){0,3}"#,
    ) {
        let frame: Vec<u8> = sent.iter().flat_map(Message::encode_length_delimited_to_vec).collect();
        for (encoding, message) in
            [(Encoding::Protobuf, frame.as_slice()), (Encoding::Json, text.as_bytes())]
        {
            let all = read(encoding, message);
            let mut piecewise = Vec::new();
            let mut rest = message;
            loop {
                let mut lazily = commands(encoding, rest);
                piecewise.extend(lazily.next().map(|read| read.map_err(|error| error.to_string())));
                rest = lazily.rest();
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(piecewise, all);
        }
    }

    /// One byte of a good message changed: no panic, and what is good to another decoder is good
    /// to ours and the same.
    #[test]
    fn a_changed_byte_is_read_as_another_decoder_reads_it(
        sent in any_command(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut body = sent.encode_to_vec();
        *at.get_mut(&mut body) = byte;
        let mut frame = Vec::new();
        prost::encode_length_delimiter(body.len(), &mut frame).unwrap();
        frame.extend_from_slice(&body);
        let ours = read(Encoding::Protobuf, &frame);
        prop_assert_eq!(ours.len(), 1);
        // No field twice, none unknown: there readers may differ.
        let theirs = schema::Command::decode(body.as_slice());
        if let Some(theirs) = theirs.ok().filter(|read| read.id != 0 && read.encode_to_vec() == body) {
            prop_assert_eq!(ours, [Ok(expected(&theirs))]);
        }
    }
}
