//! ③⑥ Who is refused for a while after being sent away.
//!
//! Each shard has all fences. A fence is put up on every shard, and only when all have said so are
//! the sessions ended: whoever hears that its session is over finds the fence wherever it comes
//! back. A connect that was let in just before is in its shard's table by then, and ends with the
//! others.

use std::collections::HashMap;

use ahash::RandomState;
use compact_str::CompactString;

use super::Shard;
use crate::api::{Answer, ApiError, Fence, Fenced};
use crate::connection::connect::Credentials;
use crate::session::Filter;
use crate::time::Now;

/// Users that are fenced out at once. A fence that finds no room is answered with error 108, and
/// nobody is sent away (`fences_are_as_many_as_there_may_be`).
const USERS_MAX: usize = 100_000;

/// Filters of labels that stand at once: each is asked at every connect. One more is answered with
/// error 108, and nobody is sent away (`fences_are_as_many_as_there_may_be`).
const FILTERS_MAX: usize = 64;

/// All fences of a shard, each with the time at which it is over, monotonic milliseconds.
#[derive(Debug, Default)]
pub(super) struct Fences {
    users: HashMap<CompactString, u64, RandomState>,
    filters: Vec<(Filter, u64)>,
    /// When the last one is over.
    over_ms: u64,
}

/// There are as many fences as there may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NoRoom;

impl Fences {
    /// Puts one up. Of two for the same, the one that is over later counts.
    pub(super) fn put_up(&mut self, fence: &Fence, now_ms: u64) -> Result<(), NoRoom> {
        let until_ms = now_ms + fence.stands_ms;
        match &fence.whom {
            Fenced::Users(users) => {
                if self.users.len() + users.len() > USERS_MAX {
                    self.users.retain(|_, until_ms| *until_ms > now_ms);
                }
                if self.users.len() + users.len() > USERS_MAX {
                    return Err(NoRoom);
                }
                for user in users {
                    let until = self.users.entry(user.clone()).or_default();
                    *until = until_ms.max(*until);
                }
            }
            Fenced::Labels(filter) => {
                self.filters.retain(|(_, until_ms)| *until_ms > now_ms);
                match self.filters.iter().position(|(standing, _)| standing == filter) {
                    Some(at) => self.filters[at].1 = until_ms.max(self.filters[at].1),
                    None if self.filters.len() == FILTERS_MAX => return Err(NoRoom),
                    None => self.filters.push((filter.clone(), until_ms)),
                }
            }
        }
        self.over_ms = self.over_ms.max(until_ms);
        Ok(())
    }

    /// Whether this one is fenced out.
    pub(super) fn keep_out(&mut self, who: &Credentials, now_ms: u64) -> bool {
        if self.over_ms <= now_ms {
            if self.over_ms != 0 {
                *self = Self::default();
            }
            return false;
        }
        let stands = |until_ms: u64| until_ms > now_ms;
        self.users.get(who.user.as_str()).is_some_and(|until_ms| stands(*until_ms))
            || self.filters.iter().any(|(filter, until_ms)| {
                stands(*until_ms) && Fenced::has_labels(filter, &who.labels)
            })
    }
}

impl Shard {
    /// Puts up a fence on this shard.
    pub(super) fn fence(&mut self, fence: &Fence, now: Now) -> Answer {
        match self.fences.put_up(fence, now.mono_ms) {
            Ok(()) => Answer::counted(0),
            Err(NoRoom) => Answer::failed(ApiError::not_available(format_args!(
                "at most {USERS_MAX} users and {FILTERS_MAX} label filters can be fenced at once: \
                 nobody was sent away, do it without \"fence\", or when others are over"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::commands::Permission;
    use crate::session::{FilterFields, FilterLimits};

    const NOW_MS: u64 = 5_000;

    fn who(user: &str, label: Option<&str>) -> Credentials {
        Credentials {
            user: user.to_owned(),
            expire_at: None,
            token_uid: String::new(),
            token_issued_at: None,
            meta: None,
            labels: label.map(|key| (key.to_owned(), String::new())).into_iter().collect(),
            sessions_max: None,
            own_sessions: Permission::Denied,
        }
    }

    fn users(users: &[&str], stands_ms: u64) -> Fence {
        let users = users.iter().map(|user| CompactString::from(*user)).collect();
        Fence { whom: Fenced::Users(users), stands_ms }
    }

    /// Those who have this label.
    fn labelled(key: &str, stands_ms: u64) -> Fence {
        let filter = Filter::read(key, FilterLimits::default(), |key| {
            let (nodes, vals) = (Vec::new(), Vec::new());
            Ok(FilterFields { op: "", key, cmp: "ex", val: "", vals, nodes })
        });
        Fence { whom: Fenced::Labels(filter.expect("a filter")), stands_ms }
    }

    #[test]
    fn a_fence_keeps_out_whom_it_names_until_it_is_over() {
        let mut fences = Fences::default();
        assert!(!fences.keep_out(&who("42", None), NOW_MS));
        fences.put_up(&users(&["42", "43"], 1_000), NOW_MS).expect("room");
        fences.put_up(&users(&["43"], 10), NOW_MS).expect("room");
        fences.put_up(&labelled("trial", 2_000), NOW_MS).expect("room");
        for (user, label, over_after_ms) in
            [("42", None, 1_000), ("43", None, 1_000), ("44", Some("trial"), 2_000)]
        {
            let who = who(user, label);
            assert!(fences.keep_out(&who, NOW_MS + over_after_ms - 1), "{user} {label:?}");
            assert!(!fences.keep_out(&who, NOW_MS + over_after_ms), "{user} {label:?}");
        }
        assert!(!fences.keep_out(&who("44", Some("paid")), NOW_MS));
        assert!(!fences.keep_out(&who("", None), NOW_MS));
        assert!(fences.users.is_empty() && fences.filters.is_empty(), "all are over");
    }

    #[test]
    fn fences_are_as_many_as_there_may_be() {
        let mut fences = Fences::default();
        for number in 0..USERS_MAX {
            fences.put_up(&users(&[&number.to_string()], 1_000), NOW_MS).expect("room");
        }
        let one_more = users(&["one more"], 1_000);
        assert_eq!(fences.put_up(&one_more, NOW_MS), Err(NoRoom));
        assert!(!fences.keep_out(&who("one more", None), NOW_MS));
        for number in 0..FILTERS_MAX {
            fences.put_up(&labelled(&number.to_string(), 1_000), NOW_MS).expect("room");
        }
        assert_eq!(fences.put_up(&labelled("one more", 1_000), NOW_MS), Err(NoRoom));
        fences.put_up(&labelled("0", 3_000), NOW_MS).expect("it stands already");
        fences.put_up(&one_more, NOW_MS + 1_000).expect("the others are over");
        fences.put_up(&labelled("one more", 1_000), NOW_MS + 1_000).expect("others are over");
        assert_eq!((fences.users.len(), fences.filters.len()), (1, 2));
    }
}
