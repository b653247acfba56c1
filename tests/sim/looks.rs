//! What looking through the sessions promises, page by page or by their number: who is there from
//! the first page to the last stands on exactly one of them, who is not meant on none.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::model::{Model, Session};

/// Which sessions are looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sought {
    Everybody,
    /// Those on trial, found by their label.
    Trial,
    /// The same ones, by an expression that takes a third of a shard's turn for each session.
    TrialSlowly,
    On(&'static str),
    Of(&'static [&'static str]),
}

/// Orders of a listing.
pub(crate) const SORTS: [&str; 4] = ["connected_at", "-connected_at", "user", "-user"];

/// Somebody who goes from page to page.
#[derive(Debug)]
pub(crate) struct Look {
    sought: Sought,
    sort: &'static str,
    limit: usize,
    /// The step in which the first page was asked for.
    begun: u64,
    seen: BTreeSet<String>,
    last_key: Option<String>,
    next: Next,
    /// Whole pages so far, and those that said they were not.
    pub(crate) pages: u32,
    pub(crate) partial_pages: u32,
}

/// Everybody who ever looked.
#[derive(Default, Debug)]
pub(crate) struct Looks {
    pub(crate) all: Vec<Look>,
    /// Numbers that were held against what is true, and those of them that could be no other.
    pub(crate) counts: u32,
    pub(crate) exact_counts: u32,
}

#[derive(Debug)]
enum Next {
    First,
    Cursor(String),
    Over,
}

impl Sought {
    fn means(self, session: &Session) -> bool {
        match self {
            Self::Everybody => true,
            Self::Trial | Self::TrialSlowly => session.is_trial,
            Self::On(transport) => session.transport == transport,
            Self::Of(users) => users.contains(&session.user.as_str()),
        }
    }

    /// The keys of `connections` that say so.
    pub(crate) fn params(self) -> Value {
        match self {
            Self::Everybody => json!({"all_users": true}),
            Self::Trial => json!({"label_filter": {"key": "plan", "cmp": "eq", "val": "trial"}}),
            Self::TrialSlowly => {
                let numbers = |from: u32| (from..from + 50).map(|n| n.to_string());
                let [few, others] = [0, 50].map(|from| numbers(from).collect::<Vec<_>>().join(","));
                let slow = format!("[{few}].exists(x, x in [{others}])");
                let on_trial = "'plan' in labels && labels['plan'] == 'trial'";
                json!({"expression": format!("{slow} || ({on_trial})")})
            }
            Self::On(transport) => json!({"transport": transport}),
            Self::Of(users) => json!({"users": users}),
        }
    }
}

impl Look {
    pub(crate) const fn new(sought: Sought, sort: &'static str, limit: usize, begun: u64) -> Self {
        Self {
            sought,
            sort,
            limit,
            begun,
            seen: BTreeSet::new(),
            last_key: None,
            next: Next::First,
            pages: 0,
            partial_pages: 0,
        }
    }

    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.next, Next::Over)
    }

    /// What asks for the next page.
    pub(crate) fn params(&self) -> Value {
        let mut params = self.sought.params();
        params["sort"] = self.sort.into();
        params["limit"] = self.limit.into();
        if let Next::Cursor(cursor) = &self.next {
            params["cursor"] = cursor.as_str().into();
        }
        params
    }

    /// A session stands on the page, behind all before it.
    fn meets(&mut self, id: &str, info: &Value) {
        let key = if self.sort.ends_with("user") {
            info["user"].as_str().unwrap_or_default().to_owned()
        } else {
            format!("{:020}", info["connected_at_ms"].as_u64().expect("milliseconds"))
        };
        let is_behind = self.last_key.as_ref().is_none_or(|last| {
            if self.sort.starts_with('-') { key <= *last } else { key >= *last }
        });
        assert!(is_behind, "{id} with {key} stands behind {:?} by {}", self.last_key, self.sort);
        self.last_key = Some(key);
        assert!(self.seen.insert(id.to_owned()), "{id} stands on two pages of {self:?}");
    }
}

impl Looks {
    pub(crate) fn begin(&mut self, look: Look) -> usize {
        self.all.push(look);
        self.all.len() - 1
    }
}

impl Model {
    /// Holds the reply to a question for a page against what is true.
    pub(crate) fn check_page(&mut self, number: usize, asked_at: u64, body: &Value) {
        if is_refused(body) {
            return;
        }
        let mut all = std::mem::take(&mut self.looks.all);
        self.turn(&mut all[number], asked_at, &body["result"]);
        self.looks.all = all;
    }

    fn turn(&mut self, look: &mut Look, asked_at: u64, result: &Value) {
        let connections = result["connections"].as_object().expect("a page lists");
        let in_order = result["clients"].as_array().map_or(&[][..], Vec::as_slice);
        let in_order = in_order.iter().map(|id| id.as_str().expect("an id"));
        let page: Vec<_> = in_order.map(|id| (id, &connections[id])).collect();
        assert_eq!(page.len(), connections.len(), "each is named in the order");
        assert!(page.len() <= look.limit, "{result}");
        for (id, info) in &page {
            let session = self.check_one(id, info, asked_at);
            assert!(session.is_none_or(|one| look.sought.means(one)), "{id} is not meant");
        }
        self.check_number(look.sought, asked_at, result);
        if is_partial(result) {
            assert!(result.get("next_cursor").is_none(), "what is missing may stand before it");
            look.partial_pages += 1;
            return;
        }
        look.pages += 1;
        page.iter().for_each(|(id, info)| look.meets(id, info));
        look.next = match result["next_cursor"].as_str() {
            Some(cursor) => Next::Cursor(cursor.to_owned()),
            None => Next::Over,
        };
        if look.is_over() {
            let stayed = self.open().filter(|(_, one)| one.opened <= look.begun);
            let missing = stayed
                .filter(|(_, one)| look.sought.means(one))
                .find(|(id, _)| !look.seen.contains(*id));
            assert!(missing.is_none(), "{missing:?} stands on no page of {look:?}");
        }
    }

    /// Holds the reply to a question for a number against what is true.
    pub(crate) fn check_count(&mut self, sought: Sought, asked_at: u64, body: &Value) {
        if !is_refused(body) {
            self.check_number(sought, asked_at, &body["result"]);
        }
    }

    fn check_number(&mut self, sought: Sought, asked_at: u64, result: &Value) {
        let count = result["count"].as_u64().expect("a number");
        let is_meant = |one: &Session| one.opened <= asked_at && sought.means(one);
        let stayed = self.open().filter(|(_, one)| is_meant(one)).count();
        let least = if is_partial(result) { 0 } else { stayed };
        let been = self.not_ended_by(asked_at).filter(|one| sought.means(one));
        let most = been.count() + self.ghosts_since(asked_at);
        let is_right = (least as u64..=most as u64).contains(&count);
        assert!(is_right, "{count} {sought:?}, not {least} to {most}: {result}");
        self.looks.counts += 1;
        self.looks.exact_counts += u32::from(least == most);
    }
}

/// Whether a shard had too much to look at.
fn is_refused(body: &Value) -> bool {
    let error = body.get("error");
    assert!(error.is_none_or(|error| error["code"] == 100), "{body}");
    error.is_some()
}

pub(crate) fn is_partial(result: &Value) -> bool {
    result.get("partial").is_some_and(|partial| *partial == true)
}
