//! What an answer may say, as a table: a story, the answer, and what is wrong with it.

use super::*;

const GRACE: u64 = 10;

/// The user asked for, and another one.
const ASKED: u32 = 0;
const OTHER: u32 = 1;

fn id(letter: char) -> ClientId {
    ClientId([u8::try_from(letter).unwrap(); 16])
}

/// Replays a story, an event per word: `c` a connect begins, `c=a` it is answered with id a at
/// that instant, `c!` it fails, `x=a` session a is closed; events of the other user in capitals.
/// Each may have its instant behind an `@`.
fn ledger(story: &str) -> (Ledger, Vec<Wrong>) {
    let mut ledger = Ledger::new(2, GRACE);
    let mut wrong = Vec::new();
    for word in story.split_whitespace() {
        let (event, at) = word.split_once('@').unwrap_or((word, "0"));
        let at: u64 = at.parse().unwrap();
        let user = if event.starts_with(char::is_uppercase) { OTHER } else { ASKED };
        match event.to_lowercase().split_once('=') {
            None if event.ends_with('!') => ledger.failed(user),
            None => ledger.connecting(user),
            Some(("c", client)) => {
                let client = id(client.chars().next().unwrap());
                wrong.extend(ledger.connected(user, client, at));
            }
            Some((_, client)) => ledger.closing(user, id(client.chars().next().unwrap()), at),
        }
    }
    (ledger, wrong)
}

/// What is wrong with an answer that was asked for at `asked` and lists these sessions.
#[track_caller]
fn check(story: &str, asked: u64, listed: &str, expected: &[Wrong]) {
    let (mut ledger, _) = ledger(story);
    let listed: Vec<ClientId> = listed.chars().map(id).collect();
    assert_eq!(
        ledger.judge(ASKED, asked, &listed),
        expected,
        "{story}, asked @{asked}: {listed:?}"
    );
}

#[test]
fn who_is_connected_must_be_listed() {
    check("", 0, "", &[]);
    check("c c=a", 5, "a", &[]);
    check("c c=a c c=b", 5, "ab", &[]);
    check("c c=a", 5, "", &[Wrong::Missing]);
    check("c c=a c c=b", 5, "b", &[Wrong::Missing]);
    check("c c=a c c=b", 5, "", &[Wrong::Missing, Wrong::Missing]);
}

#[test]
fn who_connected_after_the_question_was_sent_may_be_missing() {
    check("c c=a@6", 5, "", &[]);
    check("c c=a@6", 5, "a", &[]);
    check("c c=a@6", 6, "", &[Wrong::Missing]);
}

#[test]
fn who_is_connecting_may_be_listed_under_an_id_nobody_knows_yet() {
    check("c", 5, "", &[]);
    check("c", 5, "a", &[]);
    check("c", 5, "ab", &[Wrong::Unknown]);
    check("c c=a c", 5, "ab", &[]);
    check("c c!", 5, "a", &[]);
    check("C", 5, "a", &[Wrong::Unknown]);
}

#[test]
fn who_is_closing_may_be_listed_until_the_grace_is_over() {
    check("c c=a x=a@20", 15, "a", &[]);
    check("c c=a x=a@20", 15, "", &[]);
    check("c c=a x=a@20", 29, "a", &[]);
    check("c c=a x=a@20", 30, "a", &[Wrong::Lingering]);
    check("c c=a x=a@20", 30, "", &[]);
}

#[test]
fn nobody_else_may_be_listed() {
    check("", 5, "z", &[Wrong::Unknown]);
    check("c c=a C C=o", 5, "ao", &[Wrong::Foreign]);
    check("c c=a C C=o X=o", 50, "ao", &[Wrong::Foreign]);
    check("c c=a C C=o", 5, "o", &[Wrong::Missing, Wrong::Foreign]);
}

#[test]
fn an_id_that_was_listed_too_early_must_be_claimed_by_its_user() {
    for (then, on_reply, at_the_end) in [
        ("c=a", None, 0),
        ("c=b", None, 1),
        ("c!", None, 0),
        ("C C=a c=b", Some(Wrong::Foreign), 0),
    ] {
        let (mut ledger, _) = ledger("c");
        assert_eq!(ledger.judge(ASKED, 5, &[id('a')]), []);
        let mut seen = None;
        for word in then.split(' ') {
            match word {
                "C" => ledger.connecting(OTHER),
                "C=a" => seen = ledger.connected(OTHER, id('a'), 6),
                "c=a" => seen = seen.or(ledger.connected(ASKED, id('a'), 6)),
                "c=b" => seen = seen.or(ledger.connected(ASKED, id('b'), 6)),
                _ => ledger.failed(ASKED),
            }
        }
        assert_eq!(seen, on_reply, "{then}");
        assert_eq!(ledger.unclaimed().len(), at_the_end, "{then}");
    }
}

#[test]
fn an_id_nobody_knows_yet_is_listed_for_one_user() {
    let (mut ledger, _) = ledger("c C");
    assert_eq!(ledger.judge(ASKED, 5, &[id('a')]), []);
    assert_eq!(ledger.judge(OTHER, 5, &[id('a')]), [Wrong::Foreign]);
}

#[test]
fn an_id_is_given_once() {
    assert_eq!(ledger("c c=a c c=b").1, []);
    assert_eq!(ledger("c c=a C C=a").1, [Wrong::SameId]);
}

#[test]
fn what_is_forgotten_is_unknown_and_what_lives_is_never_forgotten() {
    let (mut ledger, _) = ledger("c c=a c c=b x=b@5");
    ledger.forget(5 + MEMORY_NS - 1);
    assert_eq!(ledger.judge(ASKED, 100, &[id('a'), id('b')]), [Wrong::Lingering]);
    ledger.forget(5 + MEMORY_NS);
    assert_eq!(ledger.judge(ASKED, 100, &[id('a'), id('b')]), [Wrong::Unknown]);
    assert_eq!(ledger.judge(ASKED, 100, &[]), [Wrong::Missing]);
}

#[test]
fn it_is_told_how_sharply_answers_were_judged() {
    let (mut ledger, _) = ledger("c c=a c c=b x=b@20 c c=d x=d@1 c");
    ledger.judge(ASKED, 25, &[id('a')]);
    assert_eq!(ledger.judged(), Judged { certain: 1, doubtful: 2 });
}
