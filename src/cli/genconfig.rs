//! `genconfig`: a configuration file with fresh secrets, readable by its owner alone.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::ExitCode;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rand::TryRng;
use rand::rngs::SysRng;

use crate::config::{self, ConfigFile, Format, LoadError, LoadErrors, Sources};

/// Why no file was written.
#[derive(Debug, thiserror::Error)]
enum GenError {
    #[error("output config file already exists: {0}")]
    Exists(String),
    #[error("cannot write {path}: {cause}")]
    Write { path: String, cause: io::Error },
    #[error("no random bytes from the operating system: {0}")]
    Random(String),
    /// The file would not do: its name tells no format.
    #[error(transparent)]
    Load(#[from] LoadErrors),
}

/// Writes the file, silently. It refuses to overwrite: another file's secrets would be lost.
pub(super) fn genconfig(path: &str) -> ExitCode {
    match generate(path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => super::fail(&error.to_string()),
    }
}

fn generate(path: &str) -> Result<(), GenError> {
    let Some(format) = Format::of(path) else {
        return Err(LoadErrors(vec![LoadError::UnknownFormat(path.to_owned())]).into());
    };
    let text = Secrets::random()?.render(format);
    // What is written must be a configuration that serves.
    let file = ConfigFile { path: path.to_owned(), text: text.clone() };
    config::load(&Sources { file: Some(file), ..Sources::default() })?;
    // `create_new` also refuses what appears between a look and the writing, links included.
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut output = opened.map_err(|cause| {
        if cause.kind() == io::ErrorKind::AlreadyExists {
            GenError::Exists(path.to_owned())
        } else {
            GenError::Write { path: path.to_owned(), cause }
        }
    })?;
    output.write_all(text.as_bytes()).map_err(|cause| {
        // Half a file would stop the next attempt.
        let _left = std::fs::remove_file(path);
        GenError::Write { path: path.to_owned(), cause }
    })
}

/// Base64url without padding: they need no quoting in any format, URL or shell.
struct Secrets {
    hmac_secret_key: String,
    admin_password: String,
    admin_secret: String,
    api_key: String,
}

impl Secrets {
    fn random() -> Result<Self, GenError> {
        Ok(Self {
            hmac_secret_key: secret::<64>()?,
            admin_password: secret::<16>()?,
            admin_secret: secret::<64>()?,
            api_key: secret::<64>()?,
        })
    }

    /// The shape of Centrifugo v6, in its order.
    fn render(&self, format: Format) -> String {
        let Self { hmac_secret_key, admin_password, admin_secret, api_key } = self;
        match format {
            Format::Json => format!(
                r#"{{
  "client": {{
    "token": {{
      "hmac_secret_key": "{hmac_secret_key}"
    }},
    "allowed_origins": []
  }},
  "admin": {{
    "enabled": false,
    "password": "{admin_password}",
    "secret": "{admin_secret}"
  }},
  "http_api": {{
    "key": "{api_key}"
  }}
}}
"#
            ),
            Format::Yaml => format!(
                r#"client:
  token:
    hmac_secret_key: "{hmac_secret_key}"
  allowed_origins: []
admin:
  enabled: false
  password: "{admin_password}"
  secret: "{admin_secret}"
http_api:
  key: "{api_key}"
"#
            ),
            Format::Toml => format!(
                r#"[client]
allowed_origins = []

[client.token]
hmac_secret_key = "{hmac_secret_key}"

[admin]
enabled = false
password = "{admin_password}"
secret = "{admin_secret}"

[http_api]
key = "{api_key}"
"#
            ),
        }
    }
}

/// A secret of this many random bytes, as text.
pub(super) fn secret_text<const BYTES: usize>() -> Result<String, String> {
    let mut bytes = [0; BYTES];
    SysRng.try_fill_bytes(&mut bytes).map_err(|error| error.to_string())?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

fn secret<const BYTES: usize>() -> Result<String, GenError> {
    secret_text::<BYTES>().map_err(GenError::Random)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_written_loads_in_each_format_without_a_warning() {
        for name in ["config.json", "x.toml", "x.yaml", "x.yml"] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(name).to_str().unwrap().to_owned();
            generate(&path).unwrap();
            let file = ConfigFile::read(&path).unwrap();
            let loaded = config::load(&Sources { file, ..Sources::default() }).unwrap();
            assert_eq!(loaded.warnings, Vec::<String>::new(), "{name}");
            let dangers = config::dangers(&loaded.config);
            assert!(dangers.iter().all(|told| told.starts_with("no transport")), "{dangers:?}");
            let secret = loaded.config.client.token.hmac_secret_key.expose().to_owned();
            assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(&secret).unwrap().len(), 64);
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);

            let error = generate(&path).expect_err("it exists");
            assert_eq!(error.to_string(), format!("output config file already exists: {path}"));
            assert!(std::fs::read_to_string(&path).unwrap().contains(&secret), "left alone");
        }
    }

    #[test]
    fn a_name_without_a_format_is_refused() {
        let error = generate("config").expect_err("no extension").to_string();
        assert_eq!(error, "config file config must end in .json, .yaml, .yml or .toml");
    }
}
