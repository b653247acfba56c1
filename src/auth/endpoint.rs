//! Where the keys of a token are: one address, or one that names its issuer or audience
//! (`client.token.jwks_public_endpoint` with `{{name}}` in it).

use regex::{Captures, Regex};
use regex_syntax::ast::{Ast, GroupKind};

/// An address with places to fill in.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// What stands before each place, and the place's name.
    places: Vec<(String, String)>,
    /// What stands after the last one.
    end: String,
}

/// Why an address cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EndpointFault {
    /// It is none.
    #[error("expected an address that starts with https:// or http://")]
    Scheme,
    /// There is nobody to ask, or somebody's password.
    #[error("expected a host and a path without spaces, and no user in front of the host")]
    Host,
    /// A place does not end.
    #[error("\"{{{{\" without \"}}}}\"")]
    Unclosed,
    /// Nothing says what stands there.
    #[error(
        "nothing fills {{{{{0}}}}}: expected a group (?P<{0}>…) in client.token.issuer_regex or \
         client.token.audience_regex"
    )]
    NoGroup(String),
    /// A token could choose where its keys come from.
    #[error(
        "the group {0:?} takes more than a few words: whoever makes a token could choose where its \
         keys are fetched. Expected words only, as in (?P<{0}>one|two), or \
         client.token.insecure_skip_jwks_endpoint_safety_check"
    )]
    Open(String),
}

/// Whether groups that fill places must be a choice of words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Safety {
    /// They must.
    Checked,
    /// The operator has turned it off.
    Skipped,
}

impl Endpoint {
    /// An address whose places are filled by these patterns.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(address: &str, patterns: &[&Regex], safety: Safety) -> Result<Self, EndpointFault> {
        if !address.starts_with("https://") && !address.starts_with("http://") {
            return Err(EndpointFault::Scheme);
        }
        let (mut places, mut rest) = (Vec::new(), address);
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}").ok_or(EndpointFault::Unclosed)?;
            let name = name.trim();
            check_group(name, patterns, safety)?;
            places.push((before.to_owned(), name.to_owned()));
            rest = after;
        }
        let endpoint = Self { places, end: rest.to_owned() };
        if endpoint.has_host() { Ok(endpoint) } else { Err(EndpointFault::Host) }
    }

    /// Whether it is asked over TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.places.first().map_or(&self.end, |(before, _)| before).starts_with("https:")
    }

    /// A user in front of a host would stand in every log.
    fn has_host(&self) -> bool {
        let before = self.places.iter().map(|(before, _)| format!("{before}x"));
        let address: String = before.chain([self.end.clone()]).collect();
        let host =
            address.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
        host.is_some_and(|host| !host.is_empty() && !host.contains('@'))
            && address.bytes().all(|byte| byte.is_ascii_graphic())
    }

    /// The address, when it is the same for every token.
    #[must_use]
    pub fn fixed(&self) -> Option<&str> {
        self.places.is_empty().then_some(&self.end)
    }

    /// The address with its places filled by what these captured. `None` when a place stays empty,
    /// or what would fill it is more than one segment of a path.
    pub(super) fn filled(&self, captured: &[Captures<'_>]) -> Option<String> {
        let mut address = String::new();
        for (before, name) in &self.places {
            let value = captured.iter().find_map(|captures| captures.name(name))?.as_str();
            if !is_segment(value) {
                return None;
            }
            address.push_str(before);
            address.push_str(value);
        }
        address.push_str(&self.end);
        Some(address)
    }
}

/// Letters, digits and what is harmless in any part of an address: no slash, no escape, no dots
/// alone.
fn is_segment(value: &str) -> bool {
    let is_harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    !value.is_empty() && value.bytes().all(is_harmless) && !value.contains("..") && value != "."
}

/// Any pattern that has the group may be the one that fills the place: so each is looked at.
fn check_group(name: &str, patterns: &[&Regex], safety: Safety) -> Result<(), EndpointFault> {
    let has_group =
        |pattern: &&&Regex| pattern.capture_names().flatten().any(|known| known == name);
    let mut patterns = patterns.iter().filter(has_group).peekable();
    if patterns.peek().is_none() {
        return Err(EndpointFault::NoGroup(name.to_owned()));
    }
    let is_choice = |pattern: &&Regex| {
        let ast = regex_syntax::ast::parse::Parser::new().parse(pattern.as_str());
        ast.is_ok_and(|ast| groups_of(&ast, name).is_some_and(is_choice_of_words))
    };
    if safety == Safety::Skipped || patterns.all(is_choice) {
        Ok(())
    } else {
        Err(EndpointFault::Open(name.to_owned()))
    }
}

/// What stands in the group of this name.
fn groups_of<'a>(ast: &'a Ast, name: &str) -> Option<&'a Ast> {
    let within = |asts: &'a [Ast]| asts.iter().find_map(|ast| groups_of(ast, name));
    if let Ast::Group(group) = ast {
        return match &group.kind {
            GroupKind::CaptureName { name: found, .. } if found.name == name => Some(&group.ast),
            GroupKind::CaptureName { .. }
            | GroupKind::CaptureIndex(_)
            | GroupKind::NonCapturing(_) => groups_of(&group.ast, name),
        };
    }
    if let Ast::Repetition(repetition) = ast {
        return groups_of(&repetition.ast, name);
    }
    if let Ast::Alternation(choice) = ast {
        return within(&choice.asts);
    }
    if let Ast::Concat(parts) = ast { within(&parts.asts) } else { None }
}

fn is_choice_of_words(ast: &Ast) -> bool {
    if let Ast::Alternation(choice) = ast {
        return choice.asts.iter().all(is_word);
    }
    is_word(ast)
}

fn is_word(ast: &Ast) -> bool {
    if let Ast::Concat(parts) = ast {
        return parts.asts.iter().all(|part| matches!(part, Ast::Literal(_)));
    }
    matches!(ast, Ast::Literal(_))
}
