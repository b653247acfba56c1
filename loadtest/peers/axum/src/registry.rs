//! Who is connected: the sessions of each user.

use std::collections::HashMap;
use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

/// What is said of a session in a listing.
#[derive(Serialize)]
pub(crate) struct Session {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) app_name: Box<str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) app_version: Box<str>,
    pub(crate) transport: &'static str,
    pub(crate) protocol: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) meta: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token_uid: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token_issued_at: Option<i64>,
}

impl Session {
    /// What Rollcall's synthetic sessions are made of.
    fn synthetic() -> Self {
        const META: &str = r#"{"plan":"pro","region":"eu-west-1","device":"phone","build":123}"#;
        Self {
            app_name: "ios".into(),
            app_version: "1.2.3".into(),
            transport: "websocket",
            protocol: "json",
            meta: Some(RawValue::from_string(META.to_owned()).expect("it is JSON")),
            token_uid: Some(Uuid::new_v4().to_string().into()),
            token_issued_at: Some(1_767_225_600),
        }
    }
}

/// The sessions of a user by their ids.
pub(crate) type Sessions = HashMap<Uuid, Arc<Session>>;

/// All users that have a session.
#[derive(Default)]
pub(crate) struct Registry(DashMap<Arc<str>, Sessions>);

/// A session that is listed until this is dropped.
pub(crate) struct Listed {
    shared: Arc<crate::Shared>,
    user: Arc<str>,
    pub(crate) id: Uuid,
}

impl Registry {
    /// Filled with sessions that no client holds, three for each of the users `s000000000`,
    /// `s000000001`, …
    pub(crate) fn synthetic(sessions: u32) -> Self {
        let registry = Self::default();
        for user in 0..sessions / 3 {
            let session = || (Uuid::new_v4(), Arc::new(Session::synthetic()));
            let sessions = HashMap::from([session(), session(), session()]);
            registry.0.insert(Arc::from(format!("s{user:09}")), sessions);
        }
        registry
    }

    /// The sessions of a user now.
    pub(crate) fn sessions_of(&self, user: &str) -> Sessions {
        self.0.get(user).map(|sessions| sessions.clone()).unwrap_or_default()
    }
}

impl Listed {
    pub(crate) fn new(shared: Arc<crate::Shared>, user: Box<str>, session: Session) -> Self {
        let (user, id) = (Arc::from(user), Uuid::new_v4());
        let mut sessions = shared.registry.0.entry(Arc::clone(&user)).or_default();
        sessions.insert(id, Arc::new(session));
        drop(sessions);
        Self { shared, user, id }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let Entry::Occupied(mut sessions) = self.shared.registry.0.entry(Arc::clone(&self.user))
        else {
            return;
        };
        sessions.get_mut().remove(&self.id);
        if sessions.get().is_empty() {
            sessions.remove();
        }
    }
}
