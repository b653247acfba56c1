//! Right and wrong answers of every kind.

use super::*;
use crate::population::APP_NAME;

const A: &str = "db8bc772-2654-4283-851a-f29b888ace74";
const B: &str = "4bc3ca70-ecc5-439d-af14-a78ae18e31c7";
const OURS: &str =
    r#"{"app_name":"ios","transport":"websocket","protocol":"json","meta":{"a":[1]}}"#;
const PRESENT: &str = r#"{"client":"ID","user":"u"}"#;

const KINDS: [Question; 3] = [Question::UserConnections, Question::Presence, Question::Hash];

/// The verdict on an answer with these sessions for a user who has as many as said.
fn verdict(kind: Question, sessions: &[(&str, &str)], expected: u32) -> Result<(), Wrong> {
    kind.check(answer(kind, sessions).as_bytes(), &user_with(expected))
}

fn user_with(sessions: u32) -> Expected<'static> {
    let (transport, app_names) = (Transport::Websocket, &[APP_NAME]);
    Expected { user: "u", sessions, transport, app_names, token_uids: TokenUids::Any }
}

/// What a server of this kind answers that has these sessions.
fn answer(kind: Question, sessions: &[(&str, &str)]) -> String {
    let map = || {
        let entries = sessions.iter().map(|(id, entry)| format!("\"{id}\":{entry}"));
        entries.collect::<Vec<_>>().join(",")
    };
    match kind {
        Question::UserConnections => format!(r#"{{"result":{{"connections":{{{}}}}}}}"#, map()),
        Question::Presence => format!(r#"{{"result":{{"presence":{{{}}}}}}}"#, map()),
        Question::Hash => {
            let words: Vec<_> = sessions.iter().flat_map(|(id, entry)| [*id, *entry]).collect();
            String::from_utf8(command(&words)).unwrap()
        }
    }
}

/// An entry that is right for this session.
fn entry(kind: Question, id: &str) -> String {
    match kind {
        Question::UserConnections | Question::Hash => OURS.to_owned(),
        Question::Presence => PRESENT.replace("ID", id),
    }
}

#[test]
fn the_right_number_of_different_sessions_is_right() {
    for kind in KINDS {
        let (a, b) = (entry(kind, A), entry(kind, B));
        assert_eq!(verdict(kind, &[(A, &a), (B, &b)], 2), Ok(()), "{kind:?}");
        assert_eq!(verdict(kind, &[], 0), Ok(()), "{kind:?}");
    }
}

#[test]
fn another_number_of_sessions_is_wrong() {
    for kind in KINDS {
        let (a, b) = (entry(kind, A), entry(kind, B));
        let two = [(A, a.as_str()), (B, b.as_str())];
        assert_eq!(verdict(kind, &two, 3), Err(Wrong::TooFew), "{kind:?}");
        assert_eq!(verdict(kind, &two, 1), Err(Wrong::TooMany), "{kind:?}");
        assert_eq!(verdict(kind, &[two[0], two[0]], 2), Err(Wrong::Entry), "{kind:?}");
        let nameless = entry(kind, "7");
        assert_eq!(verdict(kind, &[("7", &nameless)], 1), Err(Wrong::Entry), "{kind:?}");
    }
}

#[test]
fn a_session_that_connected_otherwise_is_wrong() {
    for kind in [Question::UserConnections, Question::Hash] {
        for (ours, foreign) in [(APP_NAME, "web"), ("websocket", "sse"), ("json", "protobuf")] {
            let foreign = OURS.replace(ours, foreign);
            assert_eq!(verdict(kind, &[(A, &foreign)], 1), Err(Wrong::Entry), "{kind:?}");
        }
    }
    let of_another_user = PRESENT.replace("ID", A).replace(r#""u""#, r#""v""#);
    for wrong in [entry(Question::Presence, B), of_another_user] {
        assert_eq!(verdict(Question::Presence, &[(A, &wrong)], 1), Err(Wrong::Entry));
    }
}

#[test]
fn a_refusal_is_wrong_by_its_name() {
    let http = |status| format!("HTTP/1.1 {status} Some Reason\r\nContent-Length: 0\r\n\r\n");
    for kind in [Question::UserConnections, Question::Presence] {
        let refused = http(401);
        let answer = kind.read(refused.as_bytes()).unwrap().unwrap();
        assert_eq!((answer.body, answer.len), (Err(Wrong::Status(401)), refused.len()));
        let check = |body: &str| kind.check(body.as_bytes(), &user_with(0));
        let error = r#"{"error":{"code":107,"message":"bad request"}}"#;
        assert_eq!(check(error), Err(Wrong::Api(107)));
        assert_eq!(check("{}"), Err(Wrong::Shape));
        assert_eq!(check("[]"), Err(Wrong::Shape));
    }
    let partial = br#"{"result":{"connections":{},"partial":true}}"#;
    let verdict = Question::UserConnections.check(partial, &user_with(0));
    assert_eq!(verdict, Err(Wrong::Partial));
    let answer = Question::Hash.read(b"-WRONGTYPE no hash\r\n*0\r\n").unwrap().unwrap();
    assert_eq!((answer.body, answer.len), (Err(Wrong::Refused("WRONGTYPE no hash".into())), 20));
}

#[test]
fn a_hash_is_read_once_it_is_whole() {
    let whole = command(&[A, OURS]);
    for len in 0..whole.len() {
        assert_eq!(Question::Hash.read(&whole[..len]), Ok(None), "{len}");
    }
    let two = whole.repeat(2);
    let answer = Question::Hash.read(&two).unwrap().unwrap();
    assert_eq!((answer.len, answer.body), (whole.len(), Ok(whole.as_slice().into())));
    for wrong in ["+OK\r\n", "*-1\r\n", "*1\r\n$1\r\nxyz", "*99999999\r\n", "*1\r\n$x\r\n"] {
        assert!(Question::Hash.read(wrong.as_bytes()).is_err(), "{wrong:?}");
    }
    assert_eq!(Question::Hash.check(b"*1\r\n$1\r\nx\r\n", &user_with(0)), Err(Wrong::Shape));
}

#[test]
fn a_request_names_the_user_and_carries_the_key() {
    let text = |kind: Question| String::from_utf8(kind.request("h", "k", "u1")).unwrap();
    let listing = text(Question::UserConnections);
    assert!(listing.starts_with("POST /api HTTP/1.1\r\n"), "{listing}");
    assert!(listing.ends_with(r#""params":{"user":"u1"}}"#), "{listing}");
    let presence = text(Question::Presence);
    assert!(presence.starts_with("POST /api/presence HTTP/1.1\r\n"), "{presence}");
    assert!(presence.ends_with(r##"{"channel":"#u1"}"##), "{presence}");
    for text in [listing, presence] {
        assert!(text.contains("\r\nAuthorization: apikey k\r\n"), "{text}");
    }
    assert_eq!(text(Question::Hash), "*2\r\n$7\r\nHGETALL\r\n$2\r\nu1\r\n");
}

#[test]
fn a_session_with_the_token_of_another_user_is_foreign() {
    let uid = |session| String::from_utf8(uuid_text(&token_uid(7, session)).to_vec()).unwrap();
    for kind in [Question::UserConnections, Question::Hash] {
        let verdict = |sessions: [u32; 2]| {
            let named =
                |session| OURS.replacen('{', &format!("{{\"token_uid\":\"{}\",", uid(session)), 1);
            let [a, b] = sessions.map(named);
            let token_uids = TokenUids::Of { seed: 7, first: 4, end: 6 };
            let expected = Expected { token_uids, ..user_with(2) };
            kind.check(answer(kind, &[(A, &a), (B, &b)]).as_bytes(), &expected)
        };
        assert_eq!(verdict([4, 5]), Ok(()), "{kind:?}");
        assert_eq!(verdict([5, 6]), Err(Wrong::Foreign), "{kind:?}");
    }
    let expected =
        Expected { token_uids: TokenUids::Of { seed: 7, first: 4, end: 5 }, ..user_with(1) };
    let nameless = answer(Question::UserConnections, &[(A, OURS)]);
    let verdict = Question::UserConnections.check(nameless.as_bytes(), &expected);
    assert_eq!(verdict, Err(Wrong::Foreign), "a session without a token's name");
}
