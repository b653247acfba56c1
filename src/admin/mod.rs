//! What operators see in a browser: a page, whoever may use it, and its way to the server API.
//!
//! ```text
//!   GET  P/                  the page and its files
//!   GET  P/admin/init        {"insecure","edition","authenticated","version"}
//!   POST P/admin/auth        a password ──▶ {"token":T}, good for thirty days
//!   POST P/admin/api…        as the server API, by whoever shows T
//! ```
//!
//! T travels in a header that no browser sends by itself, so no other page can make one use it.
//!
//! Used by `connection`, which finds the route, and by `shard`, which answers. Never knows a socket, a
//! clock or a session. A password, a secret or a token never leaves this folder, also not through
//! `Debug` or an error.

mod attempts;
mod door;
mod files;
mod form;
mod token;

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use crate::api;
use crate::time::Now;
use crate::wire::http1::{Head, Place, Status};

use self::attempts::Attempts;
use self::door::Door;
use self::files::Files;

pub use self::door::LoginError;
pub use self::files::{FOLDER_BYTES_MAX, FOLDER_FILES_MAX, OwnFile};
pub use self::form::LOGIN_BYTES_MAX;

/// What an operator can choose about the page.
#[derive(Clone)]
pub struct Options {
    /// Path in front of everything (`admin.handler_prefix`), or empty; without a slash at its end.
    pub prefix: String,
    /// What whoever signs in must know.
    pub password: String,
    /// What tokens are signed with.
    pub secret: String,
    /// Nobody has to sign in.
    pub insecure: bool,
    /// The version that is served.
    pub version: String,
    /// The server API as the page calls it. Its prefix and its key do not count.
    pub api: api::Options,
    /// Where it is for those who have the key, if it is anywhere: the page tells how to call it.
    pub api_prefix: Option<String>,
    /// Files to serve instead of those that are built in.
    pub files: Option<Vec<OwnFile>>,
}

/// The page of one node, shared by all shards.
pub struct Admin {
    prefix: String,
    /// The page seen from the prefix, so that it is found behind a proxy that has a path of its own.
    folder: String,
    version: String,
    door: Door,
    attempts: Attempts,
    api: api::Options,
    files: Files,
}

/// What stands at a path.
#[derive(Clone, Copy, Debug)]
pub enum Route<'a> {
    /// What the page asks first.
    Init,
    /// Where passwords become tokens.
    Login,
    /// The server API.
    Api(api::Route),
    /// The page.
    Page(Place<'a>),
}

impl Admin {
    /// The page that these options describe.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let Options { prefix, password, secret, insecure, version, mut api, files, .. } = options;
        let api_prefix = options.api_prefix.as_deref();
        let last = prefix.rsplit('/').next().unwrap_or_default();
        api.prefix = format!("{prefix}/admin/api");
        Self {
            folder: format!("{last}/"),
            door: if insecure { Door::Open } else { Door::new(&password, &secret) },
            files: match files {
                None => Files::built_in(api_prefix),
                Some(files) => Files::own(files, api_prefix),
            },
            attempts: Attempts::default(),
            prefix,
            version,
            api,
        }
    }

    /// What stands at this path, if anything. Paths match exactly.
    #[must_use]
    pub fn route(&self, path: &str) -> Option<Route<'_>> {
        let below = path.strip_prefix(self.prefix.as_str())?;
        match below {
            "" => (!self.prefix.is_empty()).then_some(Route::Page(Place::Moved(&self.folder))),
            "/admin/init" => Some(Route::Init),
            "/admin/auth" => Some(Route::Login),
            _ if below.starts_with("/admin/api") => api::route(&self.api, path).map(Route::Api),
            _ => self.files.at(below.strip_prefix('/')?).map(|file| Route::Page(Place::File(file))),
        }
    }

    /// How the server API is read.
    #[must_use]
    pub const fn api(&self) -> &api::Options {
        &self.api
    }

    /// Whether anybody may do anything.
    #[must_use]
    pub const fn is_insecure(&self) -> bool {
        matches!(self.door, Door::Open)
    }

    /// Whether a request with this head may go on to its body.
    ///
    /// # Errors
    /// 405 for a method that the route does not have; 401 when the API is called without a token
    /// that is good now; 403 when nobody needs one and a page of another site calls it.
    pub fn admit(&self, route: &Route<'_>, head: &Head<'_>, now: Now) -> Result<(), api::Refusal> {
        let refuse = |status, body| Err(api::Refusal { status, body: Cow::Borrowed(body) });
        match route {
            Route::Login | Route::Api(_) if head.method != "POST" => refuse(Status(405), ""),
            Route::Api(_) if !self.knows(head, now) => refuse(
                Status(401),
                "sign in: the token is missing, has expired or is not of here\n",
            ),
            Route::Api(_) if self.is_insecure() && is_of_other_site(head) => {
                refuse(Status(403), "a page of another site may not call this\n")
            }
            Route::Init | Route::Login | Route::Api(_) | Route::Page(_) => Ok(()),
        }
    }

    fn knows(&self, head: &Head<'_>, now: Now) -> bool {
        self.door.admits(head.header("authorization"), now)
    }

    /// The answer to [`Route::Init`]: JSON.
    #[must_use]
    pub fn init(&self, head: &Head<'_>, now: Now) -> String {
        format!(
            r#"{{"insecure":{},"edition":"rollcall","authenticated":{},"version":"{}"}}"#,
            self.is_insecure(),
            self.knows(head, now),
            self.version
        )
    }

    /// Signs somebody in who comes from this address. `body` is a form, or JSON. Returns the answer:
    /// JSON.
    ///
    /// # Errors
    /// The body holds no password or another one, nobody can sign in here, or it was tried too
    /// often.
    pub fn login(
        &self,
        content_type: Option<&str>,
        body: &[u8],
        from: Option<IpAddr>,
        now: Now,
    ) -> Result<String, LoginError> {
        self.attempts.may_try(from, now)?;
        let password = form::password(content_type, body).ok_or(LoginError::Unread)?;
        match self.door.enter(&password, now) {
            Ok(token) => Ok(format!(r#"{{"token":"{token}"}}"#)),
            Err(error) => {
                if matches!(error, LoginError::WrongPassword) {
                    self.attempts.note_wrong(from, now);
                }
                Err(error)
            }
        }
    }
}

/// Whether a browser sends this for a page of another site. Where a token is needed no such page has
/// one; without one the browser's word is all there is (Fetch Metadata, and `Origin` where a browser
/// says no more).
fn is_of_other_site(head: &Head<'_>) -> bool {
    let [site, origin, host] = head.first_of(["sec-fetch-site", "origin", "host"]);
    match (site, origin) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => origin.split_once("://").map(|(_, name)| name) != host,
        (None, None) => false,
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
