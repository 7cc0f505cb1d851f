//! The machine as text: a state, the way to it, and what each step does, the most common outcome of messages last.

use super::machine::{Outcome, State, Step, exchange, service, uint32};
use crate::wire::number;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What a state does, in words that do not depend on how the state was reached.
pub(super) fn row(state: &State) -> String {
    let mut outcomes: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut actions = String::new();
    for (step, outcome) in &state.row {
        let text = outcome_text(&state.name, outcome);
        match step {
            Step::Says(letter) => outcomes.entry(text).or_default().push(letter.name),
            Step::Does(_) if outcome.waits || text == IGNORED => {}
            Step::Does(action) => writeln!(actions, "  {action}: {text}").unwrap(),
        }
    }
    let most =
        outcomes.iter().max_by_key(|(_, letters)| letters.len()).map(|(text, _)| text.clone()).unwrap();
    let mut lines: Vec<_> = outcomes.iter().filter(|(text, _)| **text != most).collect();
    lines.sort_by_key(|(_, letters)| number_of(letters[0]));
    let mut text = String::new();
    for (outcome, letters) in lines {
        writeln!(text, "  {}: {outcome}", letters.join(" ")).unwrap();
    }
    writeln!(text, "  any other: {most}").unwrap();
    text + &actions
}

fn number_of(letter: &str) -> u8 {
    letter.split('.').next().unwrap().parse().unwrap()
}

const IGNORED: &str = "ignored";

fn outcome_text(state: &str, outcome: &Outcome) -> String {
    if outcome.waits {
        return "waits".to_owned();
    }
    if outcome.is_ignored_in(state) {
        return IGNORED.to_owned();
    }
    let mut parts = Vec::new();
    if !outcome.told.is_empty() {
        parts.push(format!("tells {}", outcome.told.join(" ")));
    }
    let sent: Vec<_> = outcome.sent.iter().map(|payload| sent_text(payload, outcome)).collect();
    if !sent.is_empty() {
        parts.push(sent.join(" "));
    }
    if outcome.error.is_some() {
        if sent.is_empty() {
            parts.push("ends".to_owned());
        }
    } else if outcome.next != state {
        let (kex, login) = (exchange(&outcome.next), service(&outcome.next));
        let first = if outcome.next.starts_with("first ") { "first " } else { "" };
        parts.push(match (kex == exchange(state), login == service(state)) {
            (false, true) => format!("=> {first}{kex}"),
            (true, false) => format!("=> {login}"),
            _ => format!("=> {}", outcome.next),
        });
    }
    parts.join(" ")
}

fn sent_text(payload: &[u8], outcome: &Outcome) -> String {
    match payload[0] {
        number::DISCONNECT => format!("D{}", uint32(payload, 1)),
        number::UNIMPLEMENTED if uint32(payload, 1) == outcome.sequence_number => "UNIMPLEMENTED".to_owned(),
        number::UNIMPLEMENTED => "UNIMPLEMENTED of another packet".to_owned(),
        number::CHANNEL_OPEN_FAILURE => format!("92({})", uint32(payload, 5)),
        other => other.to_string(),
    }
}

/// The whole machine.
pub(super) fn table<'s>(states: impl Iterator<Item = &'s State>) -> String {
    let mut text = String::new();
    for state in states {
        let path: Vec<_> = state.path.iter().map(|step| step.name()).collect();
        let path = if path.is_empty() { "the beginning".to_owned() } else { path.join(", ") };
        write!(text, "\n{}\n  by {path}\n{}", state.name, row(state)).unwrap();
    }
    text
}
