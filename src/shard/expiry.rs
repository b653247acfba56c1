//! When sessions end by themselves: said by their token, then by another token of their client
//! (`calls`), or by a backend (`orders`, `renewal`).

use super::Shard;
use super::conns::{NEVER, State};
use super::timers::Tick;
use crate::ids::ConnId;
use crate::protocol::RefreshPush;
use crate::time::Now;

impl Shard {
    /// When a session that has so many seconds left is cut.
    pub(super) fn end_of(&self, ttl_s: Option<u32>, now: Now) -> Tick {
        ttl_s.map_or(NEVER, |ttl_s| {
            // A client has time to bring another token; a backend is asked at once.
            let delay_ms = match &self.options.refresh_proxy {
                Some(_) => 0,
                None => self.options.expired_close_delay_ms,
            };
            let after_ms = u64::from(ttl_s) * 1000 + delay_ms;
            Tick::at_or_after(now.mono_ms + after_ms)
        })
    }

    /// The session has so many seconds left from now on.
    pub(super) fn set_expiry(&mut self, conn: ConnId, ttl_s: Option<u32>, now: Now) {
        let expires = self.end_of(ttl_s, now);
        self.set_end(conn, expires);
        self.renewals.end_is_known(conn.index);
        if let Some(State::Live(live)) = self.conns.state_mut(conn) {
            let slot = live.slot;
            self.tell_webhook_refreshed(slot, ttl_s, now);
        }
    }

    pub(super) fn set_end(&mut self, conn: ConnId, expires: Tick) {
        if let Some(State::Live(live)) = self.conns.state_mut(conn) {
            live.expires = expires;
        }
        self.arm_live(conn);
    }

    /// Tells a client when its session ends.
    pub(super) fn push_refresh(&mut self, conn: ConnId, push: RefreshPush) {
        let Some(State::Live(live)) = self.conns.state_mut(conn) else { return };
        let wire = live.wire;
        self.send(conn, |out| wire.refresh(out, push));
    }
}

/// Seconds from now to then; a session that has ended has none.
pub(super) fn ttl_s(expire_at: i64, now: Now) -> u32 {
    u32::try_from((expire_at - now.unix_s()).max(0)).unwrap_or(u32::MAX)
}
