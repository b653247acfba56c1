//! Rules that hold and are on their way to the shards: each shard is asked to end the sessions that
//! a rule hits, whether or not anybody still waits for it.

use std::collections::HashMap;

use crate::api::{Answer, Merged, Question};
use crate::auth::Rule;
use crate::ids::ShardId;
use crate::messages::{GatherId, Message};

/// Rules that shards are carrying out at once. While there are as many, the store is not heard: its
/// own limit refuses what comes then.
const ROUNDS_MAX: usize = 4_096;

/// Seconds after which a shard's answer is no longer waited for: it found no room.
const ANSWER_S_MAX: i64 = 60;

/// All rules on their way, each with whatever its owner wants to know it by.
#[derive(Debug)]
pub(super) struct Rounds<T> {
    /// All shards, as a mask.
    every: u64,
    begun: u64,
    open: HashMap<GatherId, Round<T>>,
    /// Those that some shard has not been told of.
    untold: Vec<GatherId>,
}

#[derive(Debug)]
struct Round<T> {
    rule: Box<Rule>,
    /// Shards that must be told, as a mask.
    untold: u64,
    /// Shards that have not carried it out, as a mask.
    owing: u64,
    since_s: i64,
    name: T,
}

impl<T> Rounds<T> {
    /// None yet, among so many shards.
    pub(super) fn new(shards: usize) -> Self {
        let every = u64::MAX >> (64 - shards);
        Self { every, begun: 0, open: HashMap::new(), untold: Vec::new() }
    }

    /// Whether one more may begin.
    pub(super) fn have_room(&self) -> bool {
        self.open.len() < ROUNDS_MAX
    }

    /// Whether some shard has not been told of a rule.
    pub(super) const fn are_untold(&self) -> bool {
        !self.untold.is_empty()
    }

    /// Every shard is to carry this out.
    pub(super) fn begin(&mut self, rule: Box<Rule>, name: T, now_s: i64) {
        self.begun += 1;
        let [index, generation] = [self.begun, self.begun >> 32]
            .map(|part| u32::try_from(part & u64::from(u32::MAX)).expect("it is masked"));
        let id = GatherId { index, generation };
        let every = self.every;
        self.open.insert(id, Round { rule, untold: every, owing: every, since_s: now_s, name });
        self.untold.push(id);
    }

    /// Tells shards what they have not been told. Where there is no room it is said again.
    pub(super) fn tell(&mut self, mut send: impl FnMut(usize, Message) -> Result<(), Message>) {
        let open = &mut self.open;
        self.untold.retain(|id| {
            let Some(round) = open.get_mut(id) else { return false };
            for shard in shards(round.untold) {
                let question = Question::KeepOut(round.rule.clone());
                if send(shard.index(), Message::Ask { gather: *id, question }).is_ok() {
                    round.untold &= !shard.bit();
                }
            }
            round.untold != 0
        });
    }

    /// A shard has carried a rule out, or could not and is to be told again. Returns the name when
    /// it was the last one.
    pub(super) fn answer(&mut self, id: GatherId, from: ShardId, answer: Answer) -> Option<T> {
        let round = self.open.get_mut(&id)?;
        let mut merged = Merged::default();
        merged.add(answer);
        if !merged.is_done() {
            if round.untold == 0 {
                self.untold.push(id);
            }
            round.untold |= from.bit();
            return None;
        }
        round.owing &= !from.bit();
        if round.owing != 0 {
            return None;
        }
        self.open.remove(&id).map(|round| round.name)
    }

    /// Gives up waiting for answers that were lost: what they would have said has been done.
    pub(super) fn forget_lost(&mut self, now_s: i64) {
        let is_awaited = |round: &Round<T>| round.since_s >= now_s.saturating_sub(ANSWER_S_MAX);
        self.open.retain(|_, round| round.untold != 0 || is_awaited(round));
    }
}

/// The shards of a mask.
fn shards(mask: u64) -> impl Iterator<Item = ShardId> {
    (0..64).map(ShardId::new).filter(move |shard| mask & shard.bit() != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ApiError;
    use crate::auth::Until;

    fn begun(name: &'static str) -> (Rounds<&'static str>, GatherId) {
        let mut rounds = Rounds::new(2);
        let rule = Rule::Block { user: "42".into(), until: Until::FOREVER };
        rounds.begin(Box::new(rule), name, 100);
        let id = rounds.untold[0];
        (rounds, id)
    }

    fn told(rounds: &mut Rounds<&'static str>, has_room: impl Fn(usize) -> bool) -> Vec<usize> {
        let mut told = Vec::new();
        rounds.tell(|shard, message| {
            if !has_room(shard) {
                return Err(message);
            }
            told.push(shard);
            Ok(())
        });
        told
    }

    #[test]
    fn a_round_is_over_when_every_shard_has_carried_it_out() {
        let (mut rounds, id) = begun("first");
        assert_eq!(told(&mut rounds, |_| true), [0, 1]);
        assert!(!rounds.are_untold());
        let mut answer = |shard| rounds.answer(id, ShardId::new(shard), Answer::counted(1));
        assert_eq!([answer(1), answer(1), answer(0), answer(0)], [None, None, Some("first"), None]);
    }

    #[test]
    fn a_shard_without_room_or_time_is_told_again() {
        let (mut rounds, id) = begun("again");
        assert_eq!(told(&mut rounds, |shard| shard == 1), [1]);
        assert!(rounds.are_untold());
        assert_eq!(told(&mut rounds, |_| true), [0]);
        let busy = Answer::failed(ApiError::not_stored());
        assert_eq!(rounds.answer(id, ShardId::new(1), busy), None);
        assert_eq!(rounds.answer(id, ShardId::new(0), Answer::counted(0)), None);
        assert_eq!(told(&mut rounds, |_| true), [1]);
        assert_eq!(rounds.answer(id, ShardId::new(1), Answer::counted(0)), Some("again"));
    }

    #[test]
    fn a_lost_answer_does_not_keep_its_place_for_ever() {
        let (mut rounds, _) = begun("lost");
        rounds.forget_lost(1_000);
        assert_eq!(rounds.open.len(), 1, "nobody has been told");
        told(&mut rounds, |_| true);
        rounds.forget_lost(100 + ANSWER_S_MAX);
        assert_eq!(rounds.open.len(), 1, "answers may come");
        rounds.forget_lost(101 + ANSWER_S_MAX);
        assert_eq!(rounds.open.len(), 0);
    }

    #[test]
    fn no_more_rules_are_on_their_way_than_there_is_room_for() {
        let (mut rounds, _) = begun("one");
        let rule = Box::new(Rule::Revoke { uid: "t".into(), until: Until::FOREVER });
        for _ in 1..ROUNDS_MAX {
            assert!(rounds.have_room());
            rounds.begin(rule.clone(), "more", 100);
        }
        assert!(!rounds.have_room());
    }
}
