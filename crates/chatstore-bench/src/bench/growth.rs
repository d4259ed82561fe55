//! Whether an operation costs as much where there is much as where there is little.
//!
//! What is measured is the way to the rows, not the memory they take: in every size the same
//! number of rows is in use.

use std::sync::Arc;

use chatstore_bench::data::growth::{
    conversation, conversation_sizes, conversations_of_user, user, user_sizes,
};
use chatstore_bench::data::{Scale, Targets};
use chatstore_bench::drive::drive;
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_model::Limit;
use chatstore_sql::{Database, DatabaseKind, DatabaseOptions};

use super::read_callers::{Reader, Way};
use super::write_callers::Writer;
use super::{Filled, Pace};
use crate::kinds::{ReadKind, WriteKind};
use crate::report::{Figures, Finding, Report, Target};

/// What grows, and what is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    PageOfConversation,
    AppendToConversation,
    ListOfUser,
    AppendForUser,
}

impl Case {
    const ALL: [Self; 4] =
        [Self::PageOfConversation, Self::AppendToConversation, Self::ListOfUser, Self::AppendForUser];

    const fn what(self) -> &'static str {
        match self {
            Self::PageOfConversation => "newest 50",
            Self::AppendToConversation | Self::AppendForUser => "append",
            Self::ListOfUser => "recent 9",
        }
    }

    const fn in_what(self) -> &'static str {
        match self {
            Self::PageOfConversation | Self::AppendToConversation => "messages in the conversation",
            Self::ListOfUser | Self::AppendForUser => "conversations of the user",
        }
    }

    fn sizes(self, scale: Scale) -> [u64; 3] {
        match self {
            Self::PageOfConversation | Self::AppendToConversation => conversation_sizes(scale),
            Self::ListOfUser | Self::AppendForUser => user_sizes(scale),
        }
    }

    /// The rows in use in the size at this place.
    fn targets(self, place: u64) -> Result<Targets, Error> {
        let conversations = match self {
            Self::PageOfConversation | Self::AppendToConversation => vec![conversation(place)?],
            Self::ListOfUser | Self::AppendForUser => conversations_of_user(place)?,
        };
        Ok(Targets { users: vec![user(place)?], long: conversations.clone(), conversations })
    }

    /// Milliseconds that one operation takes one caller.
    async fn cost(self, database: &Database, targets: &Arc<Targets>, pace: Pace) -> Result<f64, Error> {
        let way = || Way::Store(database.clone());
        let outcome = match self {
            Self::PageOfConversation => {
                let limit = Limit::default();
                drive(pace.span(), Reader::many(1, &way(), ReadKind::Page, limit, targets)).await?
            }
            Self::ListOfUser => {
                // With the one more that shows whether there is a next page, ten rows in every size.
                let limit = Limit::new(9).unwrap_or_default();
                drive(pace.span(), Reader::many(1, &way(), ReadKind::List, limit, targets)).await?
            }
            Self::AppendToConversation | Self::AppendForUser => {
                drive(pace.span(), Writer::many(1, database, WriteKind::Append, targets)).await?
            }
        };
        Ok(1_000.0 / outcome.per_second())
    }
}

/// Measures all cases on both databases.
pub(super) async fn measure(
    scale: Scale,
    pace: Pace,
    filled: &Filled,
    report: &mut Report,
) -> Result<(), Error> {
    if let Some(postgres) = &filled.postgres {
        report.version_of_postgres(postgres.url()).await?;
        let database = Database::open(DatabaseOptions::new(postgres.url())).await?;
        measure_on(&database, scale, pace, report).await?;
        database.close().await;
    }
    if let Some(original) = &filled.sqlite {
        let copy = original.copy()?;
        let database = Database::open(DatabaseOptions::new(copy.url())).await?;
        measure_on(&database, scale, pace, report).await?;
        database.close().await;
    }
    Ok(())
}

async fn measure_on(database: &Database, scale: Scale, pace: Pace, report: &mut Report) -> Result<(), Error> {
    for case in Case::ALL {
        let sizes = case.sizes(scale);
        let mut costs: [Figures; 3] = Default::default();
        for round in 1..=pace.rounds {
            progress::print(format_args!("growth {} {case:?} round {round}", database.kind().as_str()));
            for (place, costs) in (0..).zip(&mut costs) {
                let targets = Arc::new(case.targets(place)?);
                costs.push(case.cost(database, &targets, pace).await?);
            }
        }
        report.add_all(findings(case, database.kind(), sizes, &costs));
    }
    Ok(())
}

fn findings(case: Case, backend: DatabaseKind, sizes: [u64; 3], costs: &[Figures; 3]) -> Vec<Finding> {
    let [smallest, middle, largest] = costs;
    let finding = |size: u64, costs: &Figures| {
        let what = format!("{}, {size} {}", case.what(), case.in_what());
        Finding::time("growth", backend, what, 1, costs).beside("the smallest", smallest)
    };
    vec![finding(sizes[1], middle), finding(sizes[2], largest).target(Some(Target::RatioAtMost(1.2)))]
}
