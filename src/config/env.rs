//! The environment: variables of both prefixes, a `.env` file below them, and what is not meant
//! for us.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// Prefixes of variables; a later one wins over an earlier one.
pub(super) const PREFIXES: [&str; 2] = ["CENTRIFUGO_", "ROLLCALL_"];

/// The variables that concern us: those of the process, and of a `.env` file what the process
/// does not have. Empty ones are unset.
#[must_use]
pub fn environment(
    process: impl Iterator<Item = (OsString, OsString)>,
    dotenv: Option<&str>,
) -> BTreeMap<String, String> {
    let own = process.filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let mut all: BTreeMap<String, String> = dotenv.into_iter().flat_map(parse_dotenv).collect();
    all.extend(own.map(|(name, value)| (name, value.to_string_lossy().into_owned())));
    all.retain(|name, value| {
        !value.is_empty() && PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    });
    all
}

/// The name of the variable of an option.
pub(super) fn variable(prefix: &str, name: &str) -> String {
    format!("{prefix}{}", name.to_ascii_uppercase().replace('.', "_"))
}

/// Whether Kubernetes may have set this for a service called like us
/// (`ROLLCALL_PORT=tcp://10.0.0.1:8000`, `ROLLCALL_EU_SERVICE_HOST`), or it is one of the variables
/// that values may refer to (`_VAR_`). `rest` is the name without its prefix.
pub(super) fn is_not_ours(rest: &str) -> bool {
    let rest = format!("_{rest}");
    rest.starts_with("_VAR_") || rest.contains("_PORT") || rest.contains("_SERVICE_")
}

/// Whether a value is one that Kubernetes gives to `…_PORT`, which is also the name of an option.
pub(super) fn is_service_link(value: &str) -> bool {
    ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme))
}

/// Lines `NAME=value` and `export NAME=value`; `#` begins a comment; values may stand in quotes.
/// What is none of these is passed over: other programs read the file too.
fn parse_dotenv(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    text.lines().filter_map(|line| {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=')?;
        let name = name.trim();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_name) {
            return None;
        }
        Some((name.to_owned(), unquote(value.trim())))
    })
}

fn unquote(value: &str) -> String {
    if let Some(inner) = value.strip_prefix('\'')
        && let Some((literal, _comment)) = inner.split_once('\'')
    {
        return literal.to_owned();
    }
    let Some(inner) = value.strip_prefix('"') else {
        let end = value.find(" #").unwrap_or(value.len());
        return value[..end].trim_end().to_owned();
    };
    let mut text = String::new();
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => break,
            '\\' => match chars.next() {
                Some('n') => text.push('\n'),
                Some(other) => text.push(other),
                None => {}
            },
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dotenv_file_fills_what_the_process_does_not_have() {
        let process = [("CENTRIFUGO_PORT", "9000"), ("ROLLCALL_NAME", ""), ("HOME", "/")];
        let process = process.into_iter().map(|(name, value)| (name.into(), value.into()));
        let dotenv = "# comment\nCENTRIFUGO_PORT=1\nexport CENTRIFUGO_API_KEY='a # b' # c\n\
                      ROLLCALL_LOG_LEVEL = \"de\\\"bug\"\nnonsense\nROLLCALL_NAME=x #y\n1 2=3\n\
                      CENTRIFUGO_ADDRESS=::1";
        let all = environment(process, Some(dotenv));
        let all: Vec<_> = all.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            all,
            [
                "CENTRIFUGO_ADDRESS=::1",
                "CENTRIFUGO_API_KEY=a # b",
                "CENTRIFUGO_PORT=9000",
                "ROLLCALL_LOG_LEVEL=de\"bug",
            ]
        );
    }

    #[test]
    fn what_kubernetes_sets_is_not_ours() {
        for name in ["PORT", "PORT_8000_TCP_ADDR", "SERVICE_HOST", "EU_SERVICE_PORT", "VAR_REGION"]
        {
            assert!(is_not_ours(name), "{name}");
        }
        for name in ["NAME", "SERVICEHOST", "API_KEY", "MY_VAR_X"] {
            assert!(!is_not_ours(name), "{name}");
        }
        assert!(is_service_link("tcp://10.0.0.1:8000"));
    }
}
