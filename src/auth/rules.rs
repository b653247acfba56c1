//! Who is kept out: blocked users, revoked tokens, users whose older tokens no longer count.
//!
//! One set for all shards, in memory: a connect looks it up and waits for nobody. One thread writes
//! the rules of a kind, after they are stored, so that memory and store agree in order: the control
//! thread, or the one that follows the store that several nodes share.
//!
//! # Why nobody slips through
//!
//! A shard looks at the rules in the turn in which it puts the session into its table. A rule is
//! first put here, and only then is every shard asked to end the sessions it hits, and only when
//! all have done so is the caller answered. A connect that was let in just before the rule came is
//! in the table when its shard is asked; one that comes after has that message, and so the rule,
//! before it. There is no third kind.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use ahash::RandomState;
use compact_str::CompactString;
use papaya::{HashMap, ResizeMode};

/// Rules of one kind that are kept at once. One more is refused: unused ones should be taken back,
/// or be given an end.
pub const RULES_MAX: usize = 1_000_000;

/// Bytes of the longest user or token id that a rule can name.
pub const RULE_ID_BYTES_MAX: usize = 4_096;

/// What a backend has decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rule {
    /// This user stays out.
    Block {
        /// Who; never the anonymous user, who is nobody in particular.
        user: CompactString,
        /// For how long.
        until: Until,
    },
    /// This user may come again.
    Unblock {
        /// Who.
        user: CompactString,
    },
    /// The token of this id (`jti`) is no longer good.
    Revoke {
        /// Which one.
        uid: CompactString,
        /// For how long: until it would have expired is enough.
        until: Until,
    },
    /// This user's older tokens are no longer good.
    Invalidate {
        /// Who.
        user: CompactString,
        /// Older are those issued before this time, Unix seconds; none: the time at which the rule
        /// is made.
        issued_before: Option<i64>,
        /// For how long.
        until: Until,
    },
}

/// Rules of one kind are kept in one place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RuleKind {
    /// Blocked users.
    Blocked,
    /// Revoked tokens.
    Revoked,
    /// Users whose older tokens do not count.
    Invalidated,
}

impl RuleKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Blocked, Self::Revoked, Self::Invalidated];
}

/// When a rule ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Until(i64);

impl Until {
    /// It does not end by itself.
    pub const FOREVER: Self = Self(i64::MAX);

    /// At this time, Unix seconds.
    #[must_use]
    pub const fn at(unix_s: i64) -> Self {
        Self(unix_s)
    }

    /// The time, Unix seconds; of what does not end, a time that does not come.
    #[must_use]
    pub const fn unix_s(self) -> i64 {
        self.0
    }

    /// Whether it has come.
    #[must_use]
    pub const fn is_over(self, now_s: i64) -> bool {
        self.0 <= now_s
    }
}

/// Who wants in, or is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bearer<'a> {
    /// The user; empty is the anonymous one.
    pub user: &'a str,
    /// The id of the token, or empty.
    pub token_uid: &'a str,
    /// When the token was issued, Unix seconds, if it says so.
    pub token_issued_at: Option<i64>,
}

/// Why somebody is kept out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeptOut {
    /// The user is blocked.
    Blocked,
    /// The token is revoked, or older than its user's tokens may be.
    TokenRevoked,
}

impl Rule {
    /// Why this one is kept out by this rule alone, if it is.
    #[must_use]
    pub fn keeps_out(&self, who: &Bearer<'_>, now_s: i64) -> Option<KeptOut> {
        let (is_hit, until, why) = match self {
            Self::Block { user, until } => (user == who.user, until, KeptOut::Blocked),
            Self::Unblock { .. } => return None,
            Self::Revoke { uid, until } => (uid == who.token_uid, until, KeptOut::TokenRevoked),
            Self::Invalidate { user, issued_before, until } => {
                let is_old = who.is_older(issued_before.unwrap_or(now_s));
                (user == who.user && is_old, until, KeptOut::TokenRevoked)
            }
        };
        (is_hit && !until.is_over(now_s)).then_some(why)
    }

    /// Which kind of rule it makes or takes back.
    #[must_use]
    pub const fn kind(&self) -> RuleKind {
        match self {
            Self::Block { .. } | Self::Unblock { .. } => RuleKind::Blocked,
            Self::Revoke { .. } => RuleKind::Revoked,
            Self::Invalidate { .. } => RuleKind::Invalidated,
        }
    }

    /// The user or the token it is about.
    #[must_use]
    pub const fn id(&self) -> &CompactString {
        match self {
            Self::Block { user: id, .. }
            | Self::Unblock { user: id }
            | Self::Revoke { uid: id, .. }
            | Self::Invalidate { user: id, .. } => id,
        }
    }

    /// The same, made at this time.
    #[must_use]
    pub fn made_at(self, now_s: i64) -> Self {
        match self {
            Self::Invalidate { user, issued_before: None, until } => {
                Self::Invalidate { user, issued_before: Some(now_s), until }
            }
            Self::Block { .. }
            | Self::Unblock { .. }
            | Self::Revoke { .. }
            | Self::Invalidate { .. } => self,
        }
    }
}

impl Bearer<'_> {
    /// Whether the token was issued before this time. One that does not say when it was issued
    /// cannot be called old.
    fn is_older(&self, issued_before: i64) -> bool {
        self.token_issued_at.is_some_and(|issued_at| issued_at < issued_before)
    }
}

/// Users' older tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Invalidated {
    issued_before: i64,
    until: Until,
}

type Map<V> = HashMap<CompactString, V, RandomState>;

/// The rules there are.
#[derive(Debug)]
pub struct Rules {
    blocked: Map<Until>,
    revoked: Map<Until>,
    invalidated: Map<Invalidated>,
    /// The store that others write to as well cannot be read.
    is_stale: AtomicBool,
    /// The last that should be stored on this machine could not be.
    is_unstored: AtomicBool,
}

impl Default for Rules {
    fn default() -> Self {
        let [is_stale, is_unstored] = [false; 2].map(AtomicBool::new);
        Self { blocked: map(), revoked: map(), invalidated: map(), is_stale, is_unstored }
    }
}

/// Incremental resizing, papaya's default, makes look-ups many times slower.
fn map<V>() -> Map<V> {
    HashMap::builder().hasher(RandomState::new()).resize_mode(ResizeMode::Blocking).build()
}

impl Rules {
    /// Why this one is kept out, if it is. Looks nothing up while there are no rules.
    #[must_use]
    pub fn keep_out(&self, who: &Bearer<'_>, now_s: i64) -> Option<KeptOut> {
        let holds = |until: &Until| !until.is_over(now_s);
        if !self.blocked.is_empty() && self.blocked.pin().get(who.user).is_some_and(holds) {
            return Some(KeptOut::Blocked);
        }
        let is_revoked =
            !self.revoked.is_empty() && self.revoked.pin().get(who.token_uid).is_some_and(holds);
        let is_hit = |it: &Invalidated| who.is_older(it.issued_before) && holds(&it.until);
        let is_old = !self.invalidated.is_empty()
            && self.invalidated.pin().get(who.user).is_some_and(is_hit);
        (is_revoked || is_old).then_some(KeptOut::TokenRevoked)
    }

    /// Until when this user is blocked, if they are.
    #[must_use]
    pub fn block_of(&self, user: &str, now_s: i64) -> Option<Until> {
        self.blocked.pin().get(user).copied().filter(|until| !until.is_over(now_s))
    }

    /// Whether there is room for this rule. Replacing one needs none, and needs it all the same:
    /// at the limit rules are to be taken back.
    #[must_use]
    pub fn have_room_for(&self, rule: &Rule) -> bool {
        matches!(rule, Rule::Unblock { .. }) || self.len_of(rule.kind()) < RULES_MAX
    }

    /// Whether exactly this rule holds.
    #[must_use]
    pub fn know(&self, rule: &Rule) -> bool {
        match rule {
            Rule::Block { user, until } => self.blocked.pin().get(user) == Some(until),
            Rule::Unblock { user } => !self.blocked.pin().contains_key(user),
            Rule::Revoke { uid, until } => self.revoked.pin().get(uid) == Some(until),
            Rule::Invalidate { user, issued_before, until } => {
                let is_this = |it: &Invalidated| {
                    Some(it.issued_before) == *issued_before && it.until == *until
                };
                self.invalidated.pin().get(user).is_some_and(is_this)
            }
        }
    }

    /// Forgets the rules of a kind about anybody else.
    pub fn keep_only(&self, kind: RuleKind, ids: &HashSet<CompactString>) {
        match kind {
            RuleKind::Blocked => self.blocked.pin().retain(|id, _| ids.contains(id)),
            RuleKind::Revoked => self.revoked.pin().retain(|id, _| ids.contains(id)),
            RuleKind::Invalidated => self.invalidated.pin().retain(|id, _| ids.contains(id)),
        }
    }

    /// Whether others may have made rules that are not here, because the store that all write to
    /// cannot be read.
    #[must_use]
    pub fn are_stale(&self) -> bool {
        // Nothing is read because of it that somebody else has written.
        self.is_stale.load(Ordering::Relaxed)
    }

    /// Notes that it cannot be read.
    pub fn become_stale(&self) {
        self.is_stale.store(true, Ordering::Relaxed);
    }

    /// Notes that it has been read.
    pub fn become_fresh(&self) {
        self.is_stale.store(false, Ordering::Relaxed);
    }

    /// Whether the last that should be stored on this machine could not be.
    #[must_use]
    pub fn are_unstored(&self) -> bool {
        // Nothing is read because of it, as above.
        self.is_unstored.load(Ordering::Relaxed)
    }

    /// Notes that something could not be stored on this machine.
    pub fn become_unstored(&self) {
        self.is_unstored.store(true, Ordering::Relaxed);
    }

    /// Notes that something could.
    pub fn become_stored(&self) {
        self.is_unstored.store(false, Ordering::Relaxed);
    }

    /// Makes a rule hold from now on. The last one about a user or a token counts. Called for rules
    /// of one kind by one thread alone.
    pub fn apply(&self, rule: &Rule, now_s: i64) {
        match rule {
            Rule::Block { user, until } => {
                self.blocked.pin().insert(user.clone(), *until);
            }
            Rule::Unblock { user } => {
                self.blocked.pin().remove(user);
            }
            Rule::Revoke { uid, until } => {
                self.revoked.pin().insert(uid.clone(), *until);
            }
            Rule::Invalidate { user, issued_before, until } => {
                let issued_before = issued_before.unwrap_or(now_s);
                let invalidated = Invalidated { issued_before, until: *until };
                self.invalidated.pin().insert(user.clone(), invalidated);
            }
        }
    }

    /// Forgets what has ended.
    pub fn sweep(&self, now_s: i64) {
        self.blocked.pin().retain(|_, until| !until.is_over(now_s));
        self.revoked.pin().retain(|_, until| !until.is_over(now_s));
        self.invalidated.pin().retain(|_, it| !it.until.is_over(now_s));
    }

    /// How many there are of a kind.
    #[must_use]
    pub fn len_of(&self, kind: RuleKind) -> usize {
        match kind {
            RuleKind::Blocked => self.blocked.len(),
            RuleKind::Revoked => self.revoked.len(),
            RuleKind::Invalidated => self.invalidated.len(),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        RuleKind::ALL.into_iter().map(|kind| self.len_of(kind)).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: i64 = 1_800_000_000;

    #[track_caller]
    fn check(rules: &[Rule], who: (&str, &str, Option<i64>), kept_out: Option<KeptOut>) {
        let all = Rules::default();
        for rule in rules {
            all.apply(rule, NOW_S);
        }
        let (user, token_uid, token_issued_at) = who;
        let bearer = Bearer { user, token_uid, token_issued_at };
        assert_eq!(all.keep_out(&bearer, NOW_S), kept_out, "{rules:?} {bearer:?}");
        if let [alone] = rules {
            assert_eq!(alone.keeps_out(&bearer, NOW_S), kept_out, "{alone:?} {bearer:?}");
            assert_eq!(alone.clone().made_at(NOW_S).keeps_out(&bearer, NOW_S + 1), kept_out);
        }
    }

    fn block(user: &str, until: Until) -> Rule {
        Rule::Block { user: user.into(), until }
    }

    fn invalidate(issued_before: Option<i64>) -> Rule {
        Rule::Invalidate { user: "42".into(), issued_before, until: Until::FOREVER }
    }

    #[test]
    fn a_rule_keeps_out_whom_it_names_until_it_ends() {
        let (forever, over) = (Until::FOREVER, Until::at(NOW_S));
        let revoke = |until| Rule::Revoke { uid: "t".into(), until };
        let blocked = Some(KeptOut::Blocked);
        let revoked = Some(KeptOut::TokenRevoked);
        check(&[], ("42", "t", Some(0)), None);
        check(&[block("42", forever)], ("42", "", None), blocked);
        check(&[block("42", forever)], ("4", "", None), None);
        check(&[block("42", forever)], ("", "", None), None);
        check(&[block("42", Until::at(NOW_S + 2))], ("42", "", None), blocked);
        check(&[block("42", over)], ("42", "", None), None);
        check(&[block("42", forever), block("42", over)], ("42", "", None), None);
        check(&[block("42", forever), Rule::Unblock { user: "42".into() }], ("42", "", None), None);
        check(&[revoke(forever)], ("42", "t", None), revoked);
        check(&[revoke(forever)], ("42", "", None), None);
        check(&[revoke(over)], ("42", "t", None), None);
    }

    #[test]
    fn tokens_issued_before_the_time_are_old_and_those_without_a_time_are_not() {
        let revoked = Some(KeptOut::TokenRevoked);
        check(&[invalidate(None)], ("42", "", Some(NOW_S - 1)), revoked);
        check(&[invalidate(None)], ("42", "", Some(NOW_S)), None);
        check(&[invalidate(Some(100))], ("42", "", Some(99)), revoked);
        check(&[invalidate(Some(100))], ("42", "", Some(100)), None);
        check(&[invalidate(None)], ("42", "", None), None);
        check(&[invalidate(None)], ("43", "", Some(0)), None);
        check(&[invalidate(None), invalidate(Some(1))], ("42", "", Some(9)), None);
    }

    #[test]
    fn a_block_is_told_until_it_ends() {
        let rules = Rules::default();
        let until = Until::at(NOW_S + 1);
        rules.apply(&block("42", until), NOW_S);
        rules.apply(&block("43", Until::FOREVER), NOW_S);
        assert_eq!(rules.block_of("42", NOW_S), Some(until));
        assert_eq!(rules.block_of("42", NOW_S + 1), None);
        assert_eq!(rules.block_of("43", NOW_S + 1), Some(Until::FOREVER));
        assert_eq!(rules.block_of("4", NOW_S), None);
    }

    #[test]
    fn what_has_ended_is_swept() {
        let rules = Rules::default();
        rules.apply(&block("42", Until::at(NOW_S + 1)), NOW_S);
        rules.apply(&block("43", Until::FOREVER), NOW_S);
        rules.sweep(NOW_S);
        assert_eq!(rules.len(), 2);
        rules.sweep(NOW_S + 1);
        assert_eq!(rules.len(), 1);
    }
}
