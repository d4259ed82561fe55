//! Maps of well-known frameworks, which are mapping files like any other.

use super::super::SqlalchemyError;
use super::super::mapping::Mapping;

/// A map that is named instead of a file.
#[derive(Debug, Clone, Copy)]
pub(in crate::source::sqlalchemy) struct ReadyMap {
    pub(in crate::source::sqlalchemy) name: &'static str,
    text: &'static str,
}

/// In the order in which they are tried; several of one name are for different versions.
const READY: [ReadyMap; 5] = [
    ReadyMap { name: "langchain", text: include_str!("../maps/langchain.toml") },
    ReadyMap { name: "openai-agents", text: include_str!("../maps/openai-agents.toml") },
    ReadyMap { name: "chainlit", text: include_str!("../maps/chainlit.toml") },
    ReadyMap { name: "adk", text: include_str!("../maps/adk.toml") },
    ReadyMap { name: "adk", text: include_str!("../maps/adk-pickled.toml") },
];

impl ReadyMap {
    pub(in crate::source::sqlalchemy) fn mapping(self) -> Result<Mapping, SqlalchemyError> {
        Mapping::parse_ready(self.text)
    }
}

/// The maps of this name, or all.
pub(in crate::source::sqlalchemy) fn ready_maps(
    name: Option<&'static str>,
) -> impl Iterator<Item = ReadyMap> {
    READY.into_iter().filter(move |map| name.is_none_or(|name| map.name == name))
}

/// The ready maps that a file is based on, as it changes them.
pub(in crate::source::sqlalchemy) fn based(
    mapping: &Mapping,
) -> Result<Vec<(&'static str, Mapping)>, SqlalchemyError> {
    let Some((base, line)) = &mapping.base else { return Ok(Vec::new()) };
    let maps: Vec<ReadyMap> = READY.into_iter().filter(|map| map.name == base).collect();
    if maps.is_empty() {
        let mut names = READY.map(|map| map.name).to_vec();
        names.dedup();
        let problem = format!("line {line}: base is {base:?}; it is one of {}", names.join(", "));
        return Err(SqlalchemyError::Mapping(problem));
    }
    maps.into_iter().map(|map| Ok((map.name, map.mapping()?.changed_by(mapping)))).collect()
}

impl Mapping {
    /// The ready map of this name: `langchain`, `openai-agents`, `chainlit` or `adk`.
    #[must_use]
    pub fn ready(name: &str) -> Option<Self> {
        let found = READY.iter().find(|map| map.name == name)?;
        Some(Self { ready: Some(found.name), ..Self::default() })
    }
}
