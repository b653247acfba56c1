//! The ways a session can connect, each with what sets it apart: one table.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A way to connect, by the name of its option.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum Transport {
    Websocket,
    WebsocketProtobuf,
    UniWebsocket,
    HttpStream,
    Sse,
    UniSse,
    UniHttpStream,
    UniGrpc,
}

/// What a session may cost, by the demand this harness was built to check.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Demand {
    /// Bytes of server memory per idle session that must not be exceeded.
    pub(crate) must_bytes: u32,
    /// Bytes aimed at; where only a ceiling was set, none.
    pub(crate) aim_bytes: Option<u32>,
}

/// How a session's bytes travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Carrier {
    /// The endless body of one HTTP response, a message per line.
    Lines,
    /// The endless body of one HTTP response, a message per event.
    Events,
    /// WebSocket frames.
    Frames,
    /// One of many HTTP/2 streams of a connection.
    Grpc,
}

/// How messages are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Encoding {
    Json,
    /// Replies, each with its length in front.
    Protobuf,
    /// Pushes without a length, which their carrier knows.
    ProtobufPush,
}

impl Transport {
    /// The name of its option, and of this choice on the command line.
    pub(crate) const fn option(self) -> &'static str {
        match self {
            Self::Websocket => "websocket",
            Self::WebsocketProtobuf => "websocket_protobuf",
            Self::UniWebsocket => "uni_websocket",
            Self::HttpStream => "http_stream",
            Self::Sse => "sse",
            Self::UniSse => "uni_sse",
            Self::UniHttpStream => "uni_http_stream",
            Self::UniGrpc => "uni_grpc",
        }
    }

    /// `transport` of its sessions in a listing; also its section of the configuration and the
    /// end of its path.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::WebsocketProtobuf => "websocket",
            Self::Websocket
            | Self::UniWebsocket
            | Self::HttpStream
            | Self::Sse
            | Self::UniSse
            | Self::UniHttpStream
            | Self::UniGrpc => self.option(),
        }
    }

    /// `protocol` of its sessions in a listing.
    pub(crate) const fn protocol(self) -> &'static str {
        match self.encoding() {
            Encoding::Json => "json",
            Encoding::Protobuf | Encoding::ProtobufPush => "protobuf",
        }
    }

    pub(crate) const fn carrier(self) -> Carrier {
        match self {
            Self::Websocket | Self::WebsocketProtobuf | Self::UniWebsocket => Carrier::Frames,
            Self::HttpStream | Self::UniHttpStream => Carrier::Lines,
            Self::Sse | Self::UniSse => Carrier::Events,
            Self::UniGrpc => Carrier::Grpc,
        }
    }

    pub(crate) const fn encoding(self) -> Encoding {
        match self {
            Self::WebsocketProtobuf => Encoding::Protobuf,
            Self::UniGrpc => Encoding::ProtobufPush,
            Self::Websocket
            | Self::UniWebsocket
            | Self::HttpStream
            | Self::Sse
            | Self::UniSse
            | Self::UniHttpStream => Encoding::Json,
        }
    }

    /// Whether the client sends commands: then its first one is a command with an id, and it may
    /// have to answer pings.
    pub(crate) const fn is_bidirectional(self) -> bool {
        match self {
            Self::Websocket | Self::WebsocketProtobuf | Self::HttpStream | Self::Sse => true,
            Self::UniWebsocket | Self::UniSse | Self::UniHttpStream | Self::UniGrpc => false,
        }
    }

    /// Whether the server has it switched on without being told.
    pub(crate) const fn is_on_by_default(self) -> bool {
        matches!(self, Self::Websocket | Self::WebsocketProtobuf)
    }

    pub(crate) const fn demand(self) -> Demand {
        match self {
            Self::Websocket => Demand { must_bytes: 768, aim_bytes: Some(300) },
            Self::WebsocketProtobuf
            | Self::UniWebsocket
            | Self::HttpStream
            | Self::Sse
            | Self::UniSse
            | Self::UniHttpStream
            | Self::UniGrpc => Demand { must_bytes: 1024, aim_bytes: None },
        }
    }
}

impl std::fmt::Display for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.option())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_the_orders_and_the_options_use_one_name() {
        for transport in Transport::value_variants() {
            let name = transport.to_string();
            assert_eq!(transport.to_possible_value().unwrap().get_name(), name);
            assert_eq!(serde_json::to_value(transport).unwrap(), name);
        }
    }

    #[test]
    fn listings_tell_encodings_apart_by_protocol() {
        let listed = |transport: Transport| (transport.name(), transport.protocol());
        assert_eq!(listed(Transport::Websocket), ("websocket", "json"));
        assert_eq!(listed(Transport::WebsocketProtobuf), ("websocket", "protobuf"));
        assert_eq!(listed(Transport::UniGrpc), ("uni_grpc", "protobuf"));
    }
}
