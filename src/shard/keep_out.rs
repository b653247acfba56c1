//! ③⑥ Who is kept out: looked up when a session is about to begin, and carried out on those that
//! are there (why nobody slips between the two: `auth/rules`).

use super::Shard;
use crate::api::Answer;
use crate::auth::{Bearer, Rule};
use crate::connection::close::CloseReason;
use crate::connection::connect;
use crate::ids::SessionSlot;
use crate::protocol::codes::Disconnect;
use crate::session::Session;
use crate::time::Now;

impl Shard {
    /// What this one is told instead of being let in.
    pub(super) fn keep_out(&self, who: &Bearer<'_>, now: Now) -> Option<Disconnect> {
        self.rules.keep_out(who, now.unix_s()).map(connect::kept_out)
    }

    /// Ends the sessions of this shard that a rule hits, also when another has replaced it since:
    /// its caller is told that they are gone.
    pub(super) fn enforce(&mut self, rule: &Rule, now: Now) -> Answer {
        let hit = |session: &Session<'_>| {
            let token_uid = session.token_uid();
            let token_issued_at = session.token_issued_at();
            let who = Bearer { user: session.user(), token_uid: &token_uid, token_issued_at };
            rule.keeps_out(&who, now.unix_s()).map(|why| (session.slot(), connect::kept_out(why)))
        };
        let hit: Vec<(SessionSlot, Disconnect)> = match rule {
            Rule::Block { user, .. } | Rule::Invalidate { user, .. } => {
                self.table.by_user(user, self.hasher.hash(user)).filter_map(|it| hit(&it)).collect()
            }
            Rule::Revoke { .. } => self.table.iter().filter_map(|it| hit(&it)).collect(),
            Rule::Unblock { .. } => Vec::new(),
        };
        for (slot, told) in &hit {
            let Disconnect { code, reason } = told.clone();
            self.end_session(*slot, &CloseReason::Api { code, reason }, now);
        }
        Answer::counted(u32::try_from(hit.len()).unwrap_or(u32::MAX))
    }
}
