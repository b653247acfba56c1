//! The kinds of server the harness can start: what each is told, which transports it has and how
//! it is asked for the sessions of a user. One file per kind.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Value, json};

use super::{axum, centrifuge, centrifugo, redis, rollcall};
use crate::cli::CommonArgs;
use crate::failure::{Context, Failure};
use crate::question::Question;
use crate::transport::Transport;

/// A server by the name it has on the command line and in reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum Kind {
    Rollcall,
    /// Centrifugo itself.
    Centrifugo,
    /// `loadtest/peers/centrifuge`, our Go program on Centrifugo's library.
    Centrifuge,
    /// `loadtest/peers/axum`, our Rust program on tokio, axum and `DashMap`.
    Axum,
    /// A store of records instead of sessions: only its queries can be measured.
    Redis,
}

/// What is measured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Choice {
    /// A server started for the run.
    Start(Kind),
    /// A Rollcall, or what speaks as it does, that runs already: `http://ADDRESS:PORT`.
    Running(String),
}

/// What a server to be started must be told.
pub(super) struct Wanted<'a> {
    pub(super) args: &'a CommonArgs,
    pub(super) transport: Transport,
    pub(super) address: SocketAddr,
    pub(super) grpc: SocketAddr,
    pub(super) secret: &'a str,
    pub(super) key: &'a str,
}

/// How a server is started.
#[derive(Default)]
pub(super) struct Launch {
    /// Options in a file, whose path is given by `-c`.
    pub(super) config: Option<Value>,
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<(&'static str, String)>,
    /// Variables nobody may read in a report.
    pub(super) secrets: Vec<(&'static str, String)>,
}

/// The program of a kind.
pub(super) struct Program {
    /// The name of its file.
    pub(super) file: &'static str,
    /// The command that puts it beside this program, or installs it.
    pub(super) built_by: &'static str,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rollcall => "rollcall",
            Self::Centrifugo => "centrifugo",
            Self::Centrifuge => "centrifuge",
            Self::Axum => "axum",
            Self::Redis => "redis",
        }
    }

    const fn program(self) -> Program {
        match self {
            Self::Rollcall => rollcall::PROGRAM,
            Self::Centrifugo => centrifugo::PROGRAM,
            Self::Centrifuge => centrifuge::PROGRAM,
            Self::Axum => axum::PROGRAM,
            Self::Redis => redis::PROGRAM,
        }
    }

    pub(super) fn launch(self, wanted: &Wanted<'_>) -> Launch {
        match self {
            Self::Rollcall => rollcall::launch(wanted),
            Self::Centrifugo => centrifugo::launch(wanted),
            Self::Centrifuge => centrifuge::launch(wanted),
            Self::Axum => axum::launch(wanted),
            Self::Redis => redis::launch(wanted),
        }
    }

    /// How it is asked for the sessions of a user.
    pub(super) const fn question(self) -> Question {
        match self {
            Self::Rollcall | Self::Centrifuge | Self::Axum => Question::UserConnections,
            Self::Centrifugo => Question::Presence,
            Self::Redis => Question::Hash,
        }
    }

    /// Whether sessions connect to it; otherwise their records are stored in it.
    pub(crate) const fn has_sessions(self) -> bool {
        !matches!(self, Self::Redis)
    }

    /// Fails if sessions cannot connect to it this way.
    pub(super) fn check_transport(self, transport: Transport) -> Result<(), Failure> {
        let knows: fn(Transport) -> bool = match self {
            Self::Rollcall | Self::Centrifugo => |_| true,
            Self::Centrifuge => centrifuge::knows,
            Self::Axum => axum::knows,
            Self::Redis => {
                return Err(Failure::new("redis holds no sessions: only `query` measures it"));
            }
        };
        if knows(transport) {
            return Ok(());
        }
        let names = Transport::value_variants().iter().filter(|transport| knows(**transport));
        let names: Vec<_> = names.map(|transport| transport.option()).collect();
        let text = format!("{self} has no {transport}: --transport may be {}", names.join(", "));
        Err(Failure::new(text))
    }

    /// Where its program is: as told, beside this one, or in the `PATH`.
    pub(super) fn binary(self, told: Option<&Path>) -> Result<PathBuf, Failure> {
        if let Some(path) = told {
            return Ok(path.to_owned());
        }
        let Program { file, built_by } = self.program();
        let ours = std::env::current_exe().during("finding this program")?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let beside = ours.with_file_name(file);
        let places = std::iter::once(beside.clone())
            .chain(std::env::split_paths(&path).map(|folder| folder.join(file)));
        places.into_iter().find(|place| place.is_file()).ok_or_else(|| {
            let flag = if self == Self::Rollcall { "--server" } else { "--target-binary" };
            Failure::new(format!(
                "no {file} at {} or in the PATH: get it by `{built_by}` or give {flag} PATH",
                beside.display()
            ))
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains("://") {
            return Ok(Self::Running(text.to_owned()));
        }
        let kinds = Kind::value_variants();
        let named = kinds.iter().find(|kind| kind.name() == text).copied().map(Self::Start);
        let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
        named.ok_or_else(|| format!("must be {} or http://ADDRESS:PORT", names.join(", ")))
    }
}

impl Launch {
    /// What the report may say of it.
    pub(super) fn told(&self, binary: &Path) -> Value {
        let mut config = self.config.clone();
        if let Some(config) = &mut config {
            // Secrets of a server that will be gone: of no use, and nobody's business.
            config["client"]["token"] = Value::Null;
            config["http_api"] = Value::Null;
        }
        let environment: serde_json::Map<_, _> =
            self.environment.iter().map(|(name, value)| (name.to_string(), json!(value))).collect();
        json!({
            "binary": binary, "arguments": self.arguments, "config": config,
            "environment": environment,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_name_or_an_address() {
        let parse = Choice::from_str;
        assert_eq!(parse("centrifugo"), Ok(Choice::Start(Kind::Centrifugo)));
        let url = "http://127.0.0.1:1";
        assert_eq!(parse(url), Ok(Choice::Running(url.to_owned())));
        let error = parse("centrifug").unwrap_err();
        assert!(error.contains("centrifuge, axum, redis or http://"), "{error}");
        for kind in Kind::value_variants() {
            assert_eq!(kind.to_possible_value().unwrap().get_name(), kind.name());
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }

    #[test]
    fn a_transport_a_server_lacks_is_refused_with_those_it_has() {
        let refused = |kind: Kind, transport| kind.check_transport(transport).unwrap_err();
        let text = refused(Kind::Axum, Transport::Sse).to_string();
        assert_eq!(text, "axum has no sse: --transport may be websocket");
        let text = refused(Kind::Redis, Transport::Websocket).to_string();
        assert!(text.contains("only `query`"), "{text}");
        for transport in Transport::value_variants() {
            assert_eq!(Kind::Rollcall.check_transport(*transport), Ok(()));
            assert_eq!(Kind::Centrifugo.check_transport(*transport), Ok(()));
        }
    }

    #[test]
    fn a_program_that_is_nowhere_is_named_with_the_way_to_get_it() {
        // The test binaries stand in `deps`, where nobody puts a peer.
        let error = Kind::Axum.binary(None).unwrap_err().to_string();
        assert!(error.contains("cargo build --release") && error.contains("--target-binary"));
        let told = Path::new("/some/where");
        assert_eq!(Kind::Axum.binary(Some(told)), Ok(told.to_owned()));
    }

    #[test]
    fn no_secret_is_told() {
        for kind in Kind::value_variants() {
            let launch = super::super::tests::launch(*kind, "", Transport::Websocket);
            let told = launch.told(Path::new("x")).to_string();
            assert!(!told.contains("SECRET") && !told.contains("KEY-OF-API"), "{told}");
        }
    }
}
