//! The counters of one shard: a table, so that a name, its meaning and its place are one line.

macro_rules! counters {
    ($($(#[doc = $help:literal])+ $name:ident,)+) => {
        /// Plain numbers, written by their shard alone and added up when somebody asks.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub struct Counters {
            $($(#[doc = $help])+ pub $name: u64,)+
        }

        /// Name and meaning of every counter, in order.
        pub const COUNTERS: &[(&str, &str)] =
            &[$((stringify!($name), concat!($($help),+)),)+];

        impl Counters {
            /// The values, in the order of [`COUNTERS`].
            pub fn values(&self) -> impl Iterator<Item = u64> {
                [$(self.$name),+].into_iter()
            }

            /// Adds another shard's values.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)+
            }
        }
    };
}

counters! {
    /// Sessions that connected.
    sessions_opened,
    /// Sessions that ended, for whatever reason.
    sessions_closed,
    /// Sessions that ended because the peer closed or reset its connection.
    sessions_closed_by_peer,
    /// Sessions closed by the server API.
    sessions_closed_by_api,
    /// Sessions closed because their token ended or a backend said that they had.
    sessions_expired,
    /// Sessions cut because too many bytes waited for them.
    sessions_slow,
    /// Sessions closed because they did not answer a ping.
    sessions_no_pong,
    /// Sessions closed because their client broke the protocol or asked for what is not there.
    sessions_misbehaved,
    /// Connects refused with an error or a disconnect code.
    connects_refused,
    /// Connects refused because their user is blocked.
    connects_blocked,
    /// Connects refused because their token is revoked, or older than its user's tokens may be.
    connects_revoked,
    /// Connects refused because a fence stands.
    connects_fenced,
    /// Connects refused with 503 by the connection or rate limit.
    connects_limited,
    /// Connects refused with 429 because their address connects too often.
    connects_limited_by_address,
    /// Connects refused because their user connects too often.
    connects_limited_by_user,
    /// Clients closed because they did not connect in time.
    connects_stale,
    /// Times the outside was asked: a backend who a client is.
    inquiries,
    /// Inquiries that were not made, because too many waited or the outside does not answer.
    inquiries_refused,
    /// Inquiries that brought nothing: no answer in time, none that makes sense, or none at all.
    inquiries_failed,
    /// Commands of clients on bidirectional transports.
    commands,
    /// Requests refused because their head or body was malformed or too large.
    requests_malformed,
    /// Requests cut because they did not become whole in time.
    requests_timed_out,
    /// Server API commands answered.
    api_commands,
    /// Watches opened.
    watches_opened,
    /// Watches ended by the server, which says `resync` or shuts down.
    watches_cut,
    /// Server API requests refused for a missing or wrong key.
    api_unauthorized,
    /// Times somebody signed in to the admin page.
    admin_logins,
    /// Times somebody did not: a wrong password, or too many of them.
    admin_logins_refused,
    /// Requests of the admin page refused for a missing or wrong token.
    admin_unauthorized,
    /// Questions put to other shards.
    gathers,
    /// Replies in which at least one shard did not answer in time.
    gathers_partial,
    /// Messages to another thread that found no room.
    messages_refused,
    /// Pings sent.
    pings_sent,
    /// Panics caught while handling one connection or one event of a shard.
    panics,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_named_once_and_explained() {
        let mut names: Vec<_> = COUNTERS.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), COUNTERS.len());
        assert!(COUNTERS.iter().all(|(_, help)| help.trim().ends_with('.')));
        assert_eq!(Counters::default().values().count(), COUNTERS.len());
    }

    #[test]
    fn shards_add_up() {
        let mut sum = Counters { pings_sent: 2, ..Counters::default() };
        sum.add(&Counters { pings_sent: 3, panics: 1, ..Counters::default() });
        assert_eq!((sum.pings_sent, sum.panics), (5, 1));
    }
}
