//! The judge: what was answered and what is stored, against what was asked for.

use std::collections::BTreeMap;

use super::plan::{Entry, Kind, Plan};
use super::sender::{Created, Outcome, Settled};
use super::store::{Stored, StoredMessage};

/// How often what happened, and which promises were broken.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) sent: usize,
    pub(super) sent_again: usize,
    pub(super) replayed: usize,
    pub(super) mismatches_refused: usize,
    /// Why requests were sent again.
    pub(super) reasons: BTreeMap<String, usize>,
    pub(super) violations: Vec<String>,
    /// Replies and conversations of all rounds so far.
    replies: i64,
    conversations: usize,
}

impl Tally {
    /// Every copy was answered with 201, all alike, and no more than one did not say that it is a replay. Another body
    /// was refused.
    pub(super) fn judge_answers(&mut self, plan: &Plan, outcomes: &[Outcome]) {
        for outcome in outcomes {
            self.sent += outcome.sent;
            self.sent_again += outcome.sent_again;
            for (reason, count) in &outcome.reasons {
                *self.reasons.entry(reason.clone()).or_default() += count;
            }
            let entry = &plan.entries[outcome.number];
            self.judge_copies(entry, &outcome.answers);
            match &outcome.mismatch {
                Some(Ok(())) => self.mismatches_refused += 1,
                Some(Err(instead)) => {
                    self.violations.push(format!("{}: another body was answered {instead}", entry.key));
                }
                None => {}
            }
        }
        if outcomes.len() != plan.entries.len() {
            let (settled, all) = (outcomes.len(), plan.entries.len());
            self.violations.push(format!("{settled} of {all} keys were settled"));
        }
    }

    fn judge_copies(&mut self, entry: &Entry, answers: &[Settled]) {
        let key = &entry.key;
        let created: Vec<&Created> = created(answers).collect();
        for answer in answers {
            if let Settled::Failed(instead) = answer {
                self.violations.push(format!("{key}: answered {instead}"));
            }
        }
        let replayed = created.iter().filter(|answer| answer.replayed).count();
        self.replayed += replayed;
        if replayed + 1 < created.len() {
            let first = created.len() - replayed;
            self.violations.push(format!("{key}: {first} of {} answers are no replays", created.len()));
        }
        let Some(first) = created.first() else { return };
        let alike = created.iter().all(|other| other.location == first.location && other.ids == first.ids);
        if !alike {
            self.violations.push(format!("{key}: its answers differ in Location or ids"));
        }
        let names_it = first.ids.first().is_some_and(|id| first.location.ends_with(id.as_str()));
        if !first.location.starts_with("/api/v1/") || !names_it {
            self.violations.push(format!("{key}: Location {:?} for {:?}", first.location, first.ids));
        }
    }

    /// Each key had one effect, that of its answers; nothing else is there.
    pub(super) fn judge_effects(&mut self, plan: &Plan, outcomes: &[Outcome], stored: &Stored) {
        self.violations.extend(stored.contradictions.iter().cloned());
        for outcome in outcomes {
            let entry = &plan.entries[outcome.number];
            let answered = created(&outcome.answers).next().map(|answer| answer.ids.as_slice());
            if entry.kind == Kind::Conversation {
                let found = stored.conversations.get(&entry.key).map_or(&[][..], Vec::as_slice);
                self.judge_ids(entry, found, answered);
            } else {
                self.judge_messages(entry, stored, answered);
            }
        }
        let of_kind = |kind: Kind| plan.entries.iter().filter(move |entry| entry.kind == kind);
        let expected: usize = plan
            .entries
            .iter()
            .filter(|entry| entry.kind != Kind::Conversation)
            .map(|entry| entry.texts.len())
            .sum();
        let found: usize = stored.messages.values().map(Vec::len).sum();
        if found != expected {
            self.violations.push(format!("{found} messages were stored instead of {expected}"));
        }
        self.conversations += plan.conversations.len() + of_kind(Kind::Conversation).count();
        let found: usize = stored.conversations.values().map(Vec::len).sum();
        if found != self.conversations {
            let expected = self.conversations;
            self.violations.push(format!("{found} conversations were stored instead of {expected}"));
        }
        self.replies += i64::try_from(of_kind(Kind::Reply).count()).unwrap_or(i64::MAX);
        if stored.requests_booked != self.replies {
            let (booked, replies) = (stored.requests_booked, self.replies);
            self.violations.push(format!("usage was booked for {booked} replies instead of {replies}"));
        }
    }

    fn judge_messages(&mut self, entry: &Entry, stored: &Stored, answered: Option<&[String]>) {
        let key = &entry.key;
        let found: Vec<&StoredMessage> =
            entry.texts.iter().filter_map(|text| stored.messages.get(text)).flatten().collect();
        let ids: Vec<String> = found.iter().map(|message| message.id.clone()).collect();
        self.judge_ids(entry, &ids, answered);
        if let Some(stray) = found.iter().find(|message| !entry.path.contains(&message.conversation)) {
            self.violations.push(format!("{key}: a message went to {}", stray.conversation));
        }
        let consecutive = found.windows(2).all(|pair| pair[1].seq == pair[0].seq + 1);
        if entry.kind == Kind::Batch && found.len() == entry.texts.len() && !consecutive {
            self.violations.push(format!("{key}: the messages of the batch are not consecutive"));
        }
        if found.iter().any(|message| message.has_response != (entry.kind == Kind::Reply)) {
            self.violations.push(format!("{key}: response where there should be none, or none"));
        }
    }

    fn judge_ids(&mut self, entry: &Entry, found: &[String], answered: Option<&[String]>) {
        let (key, expected) = (&entry.key, entry.texts.len());
        if found.len() != expected {
            self.violations.push(format!("{key}: had {} effects instead of {expected}", found.len()));
        } else if answered.is_some_and(|answered| answered != found) {
            self.violations.push(format!("{key}: stored under other ids than it was answered"));
        }
    }
}

fn created(answers: &[Settled]) -> impl Iterator<Item = &Created> {
    answers.iter().filter_map(|answer| match answer {
        Settled::Created(created) => Some(created),
        Settled::Failed(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCATION: &str = "/api/v1/conversations/c/messages/m";

    /// One conversation, and one key that appends a message to it.
    fn plan() -> Plan {
        let mut plan = Plan::new(1, 2, 1, vec!["c".to_owned()], 1);
        plan.entries.remove(0);
        plan
    }

    fn answer(id: &str, replayed: bool) -> Settled {
        let location = LOCATION.replace("/m", &format!("/{id}"));
        Settled::Created(Created { location, ids: vec![id.to_owned()], replayed })
    }

    fn outcome(answers: Vec<Settled>) -> Outcome {
        let mut outcome = Outcome::new(0);
        outcome.answers = answers;
        outcome
    }

    fn stored(plan: &Plan, ids: &[&str]) -> Stored {
        let message = |(seq, id): (i64, &&str)| StoredMessage {
            id: (*id).to_owned(),
            conversation: "c".to_owned(),
            seq,
            has_response: false,
        };
        let mut stored = Stored::default();
        stored.conversations.insert("experiment".to_owned(), vec!["c".to_owned()]);
        stored.messages.insert(plan.entries[0].key.clone(), (1..).zip(ids).map(message).collect());
        stored
    }

    fn violations(answers: Vec<Settled>, ids: &[&str]) -> Vec<String> {
        let (plan, mut tally) = (plan(), Tally::default());
        let outcomes = [outcome(answers)];
        tally.judge_answers(&plan, &outcomes);
        tally.judge_effects(&plan, &outcomes, &stored(&plan, ids));
        tally.violations
    }

    #[test]
    fn one_effect_and_its_replays_are_no_violation() {
        assert_eq!(violations(vec![answer("m", true), answer("m", false)], &["m"]), [""; 0]);
        assert_eq!(violations(vec![answer("m", true), answer("m", true)], &["m"]), [""; 0]);
    }

    #[test]
    fn an_effect_too_many_or_too_few_is_found() {
        assert!(!violations(vec![answer("m", false)], &["m", "n"]).is_empty());
        assert!(!violations(vec![answer("m", false)], &[]).is_empty());
    }

    #[test]
    fn answers_that_differ_or_do_not_say_that_they_are_replays_are_found() {
        assert_eq!(violations(vec![answer("m", false), answer("n", true)], &["m"]).len(), 1);
        assert_eq!(violations(vec![answer("m", false), answer("m", false)], &["m"]).len(), 1);
    }

    #[test]
    fn an_answer_about_something_else_than_what_is_stored_is_found() {
        assert_eq!(violations(vec![answer("m", false)], &["n"]).len(), 1);
        assert_eq!(violations(vec![Settled::Failed("409".to_owned())], &["m"]).len(), 1);
    }
}
