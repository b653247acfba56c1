//! Which Redis, and a connection to it.

use std::fmt;
use std::time::Duration;

use redis::{Connection, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisError};

/// Where it is and how to get in, as somebody wrote it.
#[derive(Clone, Copy)]
pub struct SharedAddress<'a> {
    /// `host:port`, or `redis://[user[:password]@]host[:port][/db]`, or `unix://path`.
    pub address: &'a str,
    /// Empty: that of the address, or none.
    pub user: &'a str,
    /// Empty: that of the address, or none.
    pub password: &'a str,
    /// 0: that of the address.
    pub db: u32,
}

/// Which Redis, and how long it may take.
#[derive(Clone)]
pub struct SharedOptions {
    info: ConnectionInfo,
    /// What the names of all keys begin with, and a dot.
    prefix: String,
    connect_timeout: Duration,
    io_timeout: Duration,
}

/// Without user and password.
impl fmt::Debug for SharedOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedOptions")
            .field("at", &self.place())
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl SharedOptions {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it, without what it says: it may hold a password.
    pub fn new(
        said: SharedAddress<'_>,
        prefix: &str,
        (connect_timeout, io_timeout): (Duration, Duration),
    ) -> Result<Self, String> {
        let SharedAddress { address, user, password, db } = said;
        if address.contains(',') {
            return Err("names several: what is shared is in one Redis".to_owned());
        }
        let url = match address.split_once("://") {
            Some(("rediss" | "valkeys", _)) => {
                return Err(
                    "asks for TLS, which is not supported here: use a private network or a \
                            local proxy that speaks TLS"
                        .to_owned(),
                );
            }
            Some(_) => address.to_owned(),
            None => format!("redis://{address}"),
        };
        let expected = "is no address of Redis: expected host:port, \
                        redis://user:password@host:port/db or unix:///path";
        let info = url.into_connection_info().map_err(|_untold| expected.to_owned())?;
        let mut settings = info.redis_settings().clone();
        if !user.is_empty() {
            settings = settings.set_username(user);
        }
        if !password.is_empty() {
            settings = settings.set_password(password);
        }
        if db != 0 {
            settings = settings.set_db(i64::from(db));
        }
        if settings.username().is_some() && settings.password().is_none() {
            return Err("has a user without a password".to_owned());
        }
        let info = info.set_redis_settings(settings.set_skip_set_lib_name());
        Ok(Self { info, prefix: prefix.to_owned(), connect_timeout, io_timeout })
    }

    /// Where it is, for people.
    pub(in crate::control) fn place(&self) -> String {
        match self.info.addr() {
            ConnectionAddr::Tcp(host, port) => format!("{host}:{port}"),
            ConnectionAddr::Unix(path) => path.display().to_string(),
            ConnectionAddr::TcpTls { .. } | _ => "an address of a kind unknown here".to_owned(),
        }
    }

    /// Connects, logs in and chooses the database, within the time for it.
    pub(super) fn connect(&self) -> Result<Connection, RedisError> {
        let client = redis::Client::open(self.info.clone())?;
        let connection = client.get_connection_with_timeout(self.connect_timeout)?;
        connection.set_read_timeout(Some(self.io_timeout))?;
        connection.set_write_timeout(Some(self.io_timeout))?;
        Ok(connection)
    }

    /// The name of a key.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    /// How long an answer may be held back by Redis itself: well within the time for one.
    pub(super) fn block_ms(&self) -> u64 {
        let half_ms = u64::try_from(self.io_timeout.as_millis() / 2).unwrap_or(u64::MAX);
        half_ms.clamp(1, 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(said: SharedAddress<'_>) -> Result<SharedOptions, String> {
        let second = Duration::from_secs(1);
        SharedOptions::new(said, "rollcall", (second, second))
    }

    const fn at(address: &str) -> SharedAddress<'_> {
        SharedAddress { address, user: "", password: "", db: 0 }
    }

    #[track_caller]
    fn check(said: SharedAddress<'_>, place: &str, who: (Option<&str>, Option<&str>, i64)) {
        let options = read(said).unwrap();
        let settings = options.info.redis_settings();
        assert_eq!(options.place(), place);
        assert_eq!((settings.username(), settings.password(), settings.db()), who);
        assert!(!format!("{options:?}").contains("secret"), "{options:?}");
    }

    #[test]
    fn an_address_is_a_host_and_a_port_or_says_it_all() {
        check(at("localhost:6380"), "localhost:6380", (None, None, 0));
        check(at("redis://10.0.0.1"), "10.0.0.1:6379", (None, None, 0));
        let all = "redis://me:secret@host:1/2";
        check(at(all), "host:1", (Some("me"), Some("secret"), 2));
        check(at(":secret@host:1"), "host:1", (None, Some("secret"), 0));
        check(at("unix:///run/redis.sock"), "/run/redis.sock", (None, None, 0));
        let said = SharedAddress { user: "you", password: "secret too", db: 3, ..at(all) };
        check(said, "host:1", (Some("you"), Some("secret too"), 3));
    }

    #[track_caller]
    fn refuse(said: SharedAddress<'_>, why: &str) {
        let error = read(said).unwrap_err();
        assert!(error.contains(why) && !error.contains("secret"), "{error}");
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_it() {
        refuse(at("a:1,b:2"), "one Redis");
        refuse(at("rediss://:secret@host:1"), "TLS");
        refuse(at("http://:secret@host:1"), "is no address of Redis");
        refuse(at("redis://:secret@host:port"), "is no address of Redis");
        refuse(at(""), "is no address of Redis");
        refuse(SharedAddress { user: "me", ..at("host:1") }, "without a password");
    }
}
