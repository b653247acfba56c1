//! What is known of users beside their sessions: when they were last active, when they were last
//! here, and a state of the application's own.

use compact_str::CompactString;
use simd_json::prelude::ValueIntoString;
use simd_json::tape::Value;

use super::encode::Object;
use super::error::ApiError;
use super::params::{Fault, Place, Reading, array, elements, known, required, text};
use super::question::Question;

/// Users of one call; one more refuses it with 107.
pub const STATUS_USERS_MAX: usize = 1_000;

/// Bytes of the longest state.
pub const STATE_BYTES_MAX: usize = 1_024;

/// Whether statuses are kept (`user_status.enabled`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Statuses {
    /// They are.
    Kept,
    /// Calls about them are answered with 108.
    #[default]
    NotKept,
}

/// What is to be done with statuses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StatusOrder {
    /// They are active now.
    Update {
        /// Who.
        users: Vec<CompactString>,
        /// The application's state; none leaves it as it is.
        state: Option<CompactString>,
    },
    /// What is known of them?
    Get {
        /// Who.
        users: Vec<CompactString>,
    },
    /// Nothing shall be known of them.
    Delete {
        /// Who.
        users: Vec<CompactString>,
    },
}

/// What is known of a user.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct UserStatus {
    /// When they were last active, Unix seconds; 0 is not known.
    pub active: i64,
    /// When they last had a session, Unix seconds; 0 is not known.
    pub online: i64,
    /// The application's state.
    pub state: CompactString,
}

impl UserStatus {
    /// When it was last changed, Unix seconds.
    #[must_use]
    pub fn touched(&self) -> i64 {
        self.active.max(self.online)
    }

    fn write(&self, user: &str, out: &mut Vec<u8>) {
        let Self { active, online, state } = self;
        let mut object = Object::open(out);
        object.text("user", user);
        for (name, at) in [("active", *active), ("online", *online)] {
            if at != 0 {
                object.integer(name, at);
            }
        }
        object.text_if_any("state", state);
        object.close();
    }
}

impl StatusOrder {
    /// The users it is about, in the order they were named.
    #[must_use]
    pub fn users(&self) -> &[CompactString] {
        match self {
            Self::Update { users, .. } | Self::Get { users } | Self::Delete { users } => users,
        }
    }

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Update { .. } => "update_user_status",
            Self::Get { .. } => "get_user_status",
            Self::Delete { .. } => "delete_user_status",
        }
    }
}

/// Writes the result of `get_user_status`: one status for each user, in the order asked.
pub(super) fn write(users: &[CompactString], statuses: &[UserStatus], out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"statuses\":[");
    for (at, (user, status)) in users.iter().zip(statuses).enumerate() {
        if at > 0 {
            out.push(b',');
        }
        status.write(user, out);
    }
    out.extend_from_slice(b"]}");
}

/// Reads `{"users","state"?}` of `update_user_status`.
pub(super) fn read_update<'t, 'i: 't>(
    params: impl Iterator<Item = (&'i str, Value<'t, 'i>)>,
    reading: Reading<'_>,
) -> Result<Question, Fault> {
    let (mut users, mut state) = (None, None);
    for (key, value) in params {
        match known(key, &["users", "state"]) {
            "users" => array(&mut users, "users", value)?,
            "state" => text(&mut state, "state", value)?,
            _ => {}
        }
    }
    if state.is_some_and(|state| state.len() > STATE_BYTES_MAX) {
        return Err(ApiError::bad_request(format_args!(
            "key \"state\": expected at most {STATE_BYTES_MAX} bytes"
        ))
        .into());
    }
    let users = read_users(users, reading)?;
    ask(StatusOrder::Update { users, state: state.map(Into::into) })
}

/// Reads `{"users"}` of `get_user_status`.
pub(super) fn read_get<'t, 'i: 't>(
    params: impl Iterator<Item = (&'i str, Value<'t, 'i>)>,
    reading: Reading<'_>,
) -> Result<Question, Fault> {
    ask(StatusOrder::Get { users: only_users(params, reading)? })
}

/// Reads `{"users"}` of `delete_user_status`.
pub(super) fn read_delete<'t, 'i: 't>(
    params: impl Iterator<Item = (&'i str, Value<'t, 'i>)>,
    reading: Reading<'_>,
) -> Result<Question, Fault> {
    ask(StatusOrder::Delete { users: only_users(params, reading)? })
}

fn ask(order: StatusOrder) -> Result<Question, Fault> {
    Ok(Question::Status(Box::new(order)))
}

fn only_users<'t, 'i: 't>(
    params: impl Iterator<Item = (&'i str, Value<'t, 'i>)>,
    reading: Reading<'_>,
) -> Result<Vec<CompactString>, Fault> {
    let mut users = None;
    for (key, value) in params {
        if known(key, &["users"]) == "users" {
            array(&mut users, "users", value)?;
        }
    }
    read_users(users, reading)
}

fn read_users(
    users: Option<Value<'_, '_>>,
    reading: Reading<'_>,
) -> Result<Vec<CompactString>, Fault> {
    if reading.options.user_status == Statuses::NotKept {
        let why = "statuses of users are not kept here, set \"user_status.enabled\" to keep them";
        return Err(ApiError::not_available(why).into());
    }
    let place = Place::Element("users");
    let mut read = Vec::new();
    for element in elements(users) {
        let user = element.into_string().ok_or_else(|| place.mistyped("a string", element))?;
        read.push(required("users", Some(user))?);
    }
    if (1..=STATUS_USERS_MAX).contains(&read.len()) {
        return Ok(read);
    }
    Err(ApiError::bad_request(format_args!(
        "key \"users\": expected 1 to {STATUS_USERS_MAX} users, got {}",
        read.len()
    ))
    .into())
}
