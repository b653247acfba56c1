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

/// Tokens that are fenced out at once. As for users.
const TOKENS_MAX: usize = USERS_MAX;

/// Filters of labels that stand at once: each is asked at every connect. One more is answered with
/// error 108, and nobody is sent away (`fences_are_as_many_as_there_may_be`).
const FILTERS_MAX: usize = 64;

/// All fences of a shard, each with the time at which it is over, monotonic milliseconds.
#[derive(Debug, Default)]
pub(super) struct Fences {
    users: Names,
    tokens: Names,
    filters: Vec<(Filter, u64)>,
    /// When the last one is over.
    over_ms: u64,
}

/// Users or tokens, and until when each is fenced out.
type Names = HashMap<CompactString, u64, RandomState>;

/// There are as many fences as there may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NoRoom;

impl Fences {
    /// Puts one up. Of two for the same, the one that is over later counts.
    pub(super) fn put_up(&mut self, fence: &Fence, now_ms: u64) -> Result<(), NoRoom> {
        let until_ms = now_ms + fence.stands_ms;
        match &fence.whom {
            Fenced::Users(users) => {
                add(&mut self.users, users, USERS_MAX, (now_ms, until_ms))?;
            }
            Fenced::Token(uid) => {
                let one = std::slice::from_ref(uid);
                add(&mut self.tokens, one, TOKENS_MAX, (now_ms, until_ms))?;
            }
            Fenced::ItsToken => unreachable!("it is asked for before"),
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
        let is_among = |names: &Names, name: &str| names.get(name).is_some_and(|at| stands(*at));
        is_among(&self.users, &who.user)
            || !who.token_uid.is_empty() && is_among(&self.tokens, &who.token_uid)
            || self.filters.iter().any(|(filter, until_ms)| {
                stands(*until_ms) && Fenced::has_labels(filter, &who.labels)
            })
    }
}

/// Fences names out from now on until then, monotonic milliseconds.
fn add(
    standing: &mut Names,
    names: &[CompactString],
    names_max: usize,
    (now_ms, until_ms): (u64, u64),
) -> Result<(), NoRoom> {
    if standing.len() + names.len() > names_max {
        standing.retain(|_, until_ms| *until_ms > now_ms);
    }
    if standing.len() + names.len() > names_max {
        return Err(NoRoom);
    }
    for name in names {
        let until = standing.entry(name.clone()).or_default();
        *until = until_ms.max(*until);
    }
    Ok(())
}

impl Shard {
    /// Puts up a fence on this shard.
    pub(super) fn fence(&mut self, fence: &Fence, now: Now) -> Answer {
        match self.fences.put_up(fence, now.mono_ms) {
            Ok(()) => Answer::counted(0),
            Err(NoRoom) => Answer::failed(ApiError::not_available(format_args!(
                "at most {USERS_MAX} users, {TOKENS_MAX} tokens and {FILTERS_MAX} label filters can \
                 be fenced at once: nobody was sent away, do it without \"fence\", or when others are \
                 over"
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

    /// Whoever comes with the token of this id.
    fn bearer(uid: &str) -> Credentials {
        Credentials { token_uid: uid.to_owned(), ..who("42", None) }
    }

    fn token(uid: &str) -> Fence {
        Fence { whom: Fenced::Token(uid.into()), stands_ms: 1_000 }
    }

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
            data: None,
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
        assert!(!fences.keep_out(&bearer("43"), NOW_MS + 1_000), "a token is no user");
        assert!(!fences.keep_out(&who("", None), NOW_MS));
        assert!(fences.users.is_empty() && fences.filters.is_empty(), "all are over");
    }

    #[test]
    fn a_fence_around_a_token_keeps_out_who_comes_with_it() {
        let mut fences = Fences::default();
        fences.put_up(&token("1"), NOW_MS).expect("room");
        assert!(fences.keep_out(&bearer("1"), NOW_MS + 999));
        assert!(!fences.keep_out(&bearer("1"), NOW_MS + 1_000));
        for uid in ["2", ""] {
            fences.put_up(&token("1"), NOW_MS).expect("room");
            assert!(!fences.keep_out(&bearer(uid), NOW_MS), "{uid:?}");
        }
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
        for number in 0..TOKENS_MAX {
            fences.put_up(&token(&number.to_string()), NOW_MS).expect("room");
        }
        assert_eq!(fences.put_up(&token("one more"), NOW_MS), Err(NoRoom));
        for number in 0..FILTERS_MAX {
            fences.put_up(&labelled(&number.to_string(), 1_000), NOW_MS).expect("room");
        }
        assert_eq!(fences.put_up(&labelled("one more", 1_000), NOW_MS), Err(NoRoom));
        fences.put_up(&labelled("0", 3_000), NOW_MS).expect("it stands already");
        fences.put_up(&one_more, NOW_MS + 1_000).expect("the others are over");
        fences.put_up(&labelled("one more", 1_000), NOW_MS + 1_000).expect("others are over");
        fences.put_up(&token("one more"), NOW_MS + 1_000).expect("others are over");
        assert_eq!((fences.users.len(), fences.tokens.len(), fences.filters.len()), (1, 1, 2));
    }
}
