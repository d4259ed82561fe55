//! Answers of models, and their tokens, by model.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use chatstore_model::ModelResponse;

/// Models that are counted by themselves: names are the clients', and every one is a series of the operator's.
const MODELS: usize = 64;

/// The maximum length of a name, in characters; longer ones are counted with the others.
const NAME_LENGTH: usize = 64;

/// What models are called that come when there are [`MODELS`] already.
const OTHER: &str = "other";

/// The counts of each model, without a lock: a place is taken once and kept.
#[derive(Debug)]
pub(super) struct Models {
    places: Box<[OnceLock<Place>]>,
    others: Counts,
}

#[derive(Debug)]
struct Place {
    model: String,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    replies: AtomicU64,
    cached_replies: AtomicU64,
    prompt_tokens: AtomicU64,
    completion_tokens: AtomicU64,
    cached_tokens: AtomicU64,
}

/// What one model answered since the store was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelMeasures {
    /// Its name; `other` for all models after the first 64, and those with a name of more than 64 characters.
    pub model: String,
    /// Replies that the model gave.
    pub replies: u64,
    /// Replies that came from a cache instead.
    pub cached_replies: u64,
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
    /// Of those read, the ones from the provider's cache.
    pub cached_tokens: u64,
}

impl Default for Models {
    fn default() -> Self {
        Self { places: (0..MODELS).map(|_| OnceLock::new()).collect(), others: Counts::default() }
    }
}

impl Models {
    pub(super) fn note(&self, response: &ModelResponse) {
        let counts = self.counts_of(&response.model_used);
        let replies = if response.from_cache { &counts.cached_replies } else { &counts.replies };
        replies.fetch_add(1, Ordering::Relaxed);
        let tokens = [
            (&counts.prompt_tokens, response.tokens_prompt),
            (&counts.completion_tokens, response.tokens_completion),
            (&counts.cached_tokens, response.tokens_cached),
        ];
        for (count, tokens) in tokens {
            count.fetch_add(tokens.and_then(|tokens| tokens.try_into().ok()).unwrap_or(0), Ordering::Relaxed);
        }
    }

    fn counts_of(&self, model: &str) -> &Counts {
        if model.chars().count() > NAME_LENGTH {
            return &self.others;
        }
        let place = self.places.iter().find_map(|place| {
            let taken = place.get_or_init(|| Place { model: model.to_owned(), counts: Counts::default() });
            (taken.model == model).then_some(&taken.counts)
        });
        place.unwrap_or(&self.others)
    }

    /// Those that answered.
    pub(super) fn read(&self) -> Vec<ModelMeasures> {
        let named = self.places.iter().filter_map(OnceLock::get);
        let mut read: Vec<ModelMeasures> = named.map(|Place { model, counts }| counts.read(model)).collect();
        let others = self.others.read(OTHER);
        if others.replies + others.cached_replies == 0 {
            return read;
        }
        match read.iter_mut().find(|measures| measures.model == OTHER) {
            Some(measures) => measures.add(&others),
            None => read.push(others),
        }
        read
    }
}

impl Counts {
    fn read(&self, model: &str) -> ModelMeasures {
        ModelMeasures {
            model: model.to_owned(),
            replies: self.replies.load(Ordering::Relaxed),
            cached_replies: self.cached_replies.load(Ordering::Relaxed),
            prompt_tokens: self.prompt_tokens.load(Ordering::Relaxed),
            completion_tokens: self.completion_tokens.load(Ordering::Relaxed),
            cached_tokens: self.cached_tokens.load(Ordering::Relaxed),
        }
    }
}

impl ModelMeasures {
    /// A model may be called like all the others together.
    fn add(&mut self, others: &Self) {
        self.replies += others.replies;
        self.cached_replies += others.cached_replies;
        self.prompt_tokens += others.prompt_tokens;
        self.completion_tokens += others.completion_tokens;
        self.cached_tokens += others.cached_tokens;
    }
}

#[cfg(test)]
mod tests {
    use chatstore_model::{ConversationId, MessageId, Timestamp};
    use uuid::Uuid;

    use super::*;

    fn response(model: &str) -> ModelResponse {
        ModelResponse {
            message_id: MessageId::from_uuid(Uuid::nil()),
            conversation_id: ConversationId::from_uuid(Uuid::nil()),
            model_used: model.to_owned(),
            tokens_prompt: Some(10),
            tokens_completion: Some(2),
            tokens_total: Some(12),
            tokens_cached: None,
            completion_time_ms: None,
            finish_reason: None,
            from_cache: false,
            created_at: Timestamp::MIN,
        }
    }

    #[test]
    fn clients_cannot_add_more_series_than_there_are_places() {
        let models = Models::default();
        for number in 0..1_000 {
            models.note(&response(&format!("model-{number}")));
        }
        models.note(&response("model-0"));
        models.note(&response("other"));
        models.note(&response(&"m".repeat(65)));
        let read = models.read();
        assert_eq!(read.len(), MODELS + 1);
        assert_eq!((read[0].model.as_str(), read[0].replies, read[0].prompt_tokens), ("model-0", 2, 20));
        assert_eq!((read[MODELS].model.as_str(), read[MODELS].replies), (OTHER, 1_003 - 1 - MODELS as u64));
    }

    #[test]
    fn a_model_that_is_called_other_is_counted_with_the_others() {
        let models = Models::default();
        models.note(&response("other"));
        (0..MODELS).for_each(|number| models.note(&response(&number.to_string())));
        let others: Vec<ModelMeasures> =
            models.read().into_iter().filter(|measures| measures.model == OTHER).collect();
        assert_eq!(others.iter().map(|measures| measures.replies).collect::<Vec<_>>(), [2]);
    }
}
