//! The order of revisions, and the paths through it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::error::MigrationError;
use crate::revision::Revision;

/// Where to migrate to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The only revision that nothing comes after.
    Head,
    /// Every revision that nothing comes after.
    Heads,
    /// Before the first revision.
    Base,
    /// A number of revisions forward.
    Forward(usize),
    /// A number of revisions back.
    Back(usize),
    /// A revision by its id, the beginning of its id, its label, or `LABEL@head`, the head of the
    /// branch of that label.
    Revision(String),
}

impl From<&str> for Target {
    /// `head`, `heads`, `base`, `+2`, `-1`; everything else is the name of a revision.
    fn from(text: &str) -> Self {
        let number = |sign| text.strip_prefix(sign).and_then(|number| number.parse().ok());
        match text {
            "head" => Self::Head,
            "heads" => Self::Heads,
            "base" => Self::Base,
            _ => number('+')
                .map(Self::Forward)
                .or_else(|| number('-').map(Self::Back))
                .unwrap_or_else(|| Self::Revision(text.to_owned())),
        }
    }
}

/// Revisions in an order in which each comes after everything it builds on.
///
/// The order is the same in every program that has the same revisions: of two that may come next,
/// the one with the lower id does.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    revisions: Vec<Revision>,
    positions: HashMap<String, usize>,
}

impl Graph {
    /// Orders revisions.
    ///
    /// # Errors
    /// [`MigrationError::Duplicate`], [`MigrationError::DuplicateLabel`],
    /// [`MigrationError::UnknownParent`] or [`MigrationError::Cycle`].
    pub fn new(revisions: Vec<Revision>) -> Result<Self, MigrationError> {
        let mut waiting: BTreeMap<String, Revision> = BTreeMap::new();
        let mut labels: BTreeMap<String, String> = BTreeMap::new();
        for revision in revisions {
            for label in &revision.labels {
                if let Some(first) = labels.insert(label.clone(), revision.id.clone()) {
                    let (label, second) = (label.clone(), revision.id.clone());
                    return Err(MigrationError::DuplicateLabel { label, first, second });
                }
            }
            let id = revision.id.clone();
            if waiting.insert(id.clone(), revision).is_some() {
                return Err(MigrationError::Duplicate(id));
            }
        }
        for revision in waiting.values() {
            if let Some(parent) = revision.parents().find(|parent| !waiting.contains_key(*parent)) {
                let (revision, parent) = (revision.to_string(), parent.clone());
                return Err(MigrationError::UnknownParent { revision, parent });
            }
        }
        Self::sorted(waiting)
    }

    fn sorted(mut waiting: BTreeMap<String, Revision>) -> Result<Self, MigrationError> {
        let mut missing: HashMap<String, HashSet<String>> = HashMap::new();
        let mut children: HashMap<String, Vec<String>> = HashMap::new();
        let mut ready = BTreeSet::new();
        for (id, revision) in &waiting {
            let parents: HashSet<String> = revision.parents().cloned().collect();
            for parent in &parents {
                children.entry(parent.clone()).or_default().push(id.clone());
            }
            if parents.is_empty() {
                ready.insert(id.clone());
            }
            missing.insert(id.clone(), parents);
        }
        let mut graph = Self::default();
        while let Some(id) = ready.pop_first() {
            for child in children.remove(&id).unwrap_or_default() {
                let Some(parents) = missing.get_mut(&child) else { continue };
                parents.remove(&id);
                if parents.is_empty() {
                    ready.insert(child);
                }
            }
            graph.positions.insert(id.clone(), graph.revisions.len());
            graph.revisions.extend(waiting.remove(&id));
        }
        if waiting.is_empty() { Ok(graph) } else { Err(MigrationError::Cycle(circle(&waiting))) }
    }

    /// All revisions, in order.
    #[must_use]
    pub fn revisions(&self) -> &[Revision] {
        &self.revisions
    }

    /// The revision with this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Revision> {
        self.positions.get(id).map(|position| &self.revisions[*position])
    }

    /// Revisions that nothing revises, in order.
    #[must_use]
    pub fn heads(&self) -> Vec<&Revision> {
        let revised: HashSet<&String> =
            self.revisions.iter().flat_map(|revision| &revision.revises).collect();
        self.revisions.iter().filter(|revision| !revised.contains(&revision.id)).collect()
    }

    /// Revisions that more than one other revises, in order, each with those.
    #[must_use]
    pub fn branches(&self) -> Vec<(&Revision, Vec<&Revision>)> {
        let mut branches = Vec::new();
        for revision in &self.revisions {
            let children: Vec<&Revision> =
                self.revisions.iter().filter(|other| other.revises.contains(&revision.id)).collect();
            if children.len() > 1 {
                branches.push((revision, children));
            }
        }
        branches
    }

    /// The revision that a name means.
    ///
    /// # Errors
    /// [`MigrationError::NoSuchRevision`], [`MigrationError::Ambiguous`], or
    /// [`MigrationError::SeveralHeads`] when a labelled branch has more than one.
    pub fn find(&self, name: &str) -> Result<&Revision, MigrationError> {
        if let Some(label) = name.strip_suffix("@head") {
            return self.head_of(label);
        }
        let is_exact =
            |revision: &&Revision| revision.id == name || revision.labels.iter().any(|it| it == name);
        if let Some(revision) = self.revisions.iter().find(is_exact) {
            return Ok(revision);
        }
        let matching: Vec<&Revision> = self
            .revisions
            .iter()
            .filter(|revision| !name.is_empty() && revision.id.starts_with(name))
            .collect();
        match matching[..] {
            [] => Err(MigrationError::NoSuchRevision(name.to_owned())),
            [revision] => Ok(revision),
            _ => Err(MigrationError::Ambiguous {
                name: name.to_owned(),
                candidates: matching.iter().map(ToString::to_string).collect(),
            }),
        }
    }

    fn head_of(&self, label: &str) -> Result<&Revision, MigrationError> {
        let branch = self.with_dependents(self.find(label)?);
        let heads: Vec<&Revision> =
            self.heads().into_iter().filter(|head| branch.contains(head.id.as_str())).collect();
        match heads[..] {
            [head] => Ok(head),
            _ => Err(several(&heads)),
        }
    }

    /// A revision and everything it builds on.
    #[must_use]
    pub fn with_ancestors(&self, revision: &Revision) -> HashSet<&str> {
        let mut found = HashSet::new();
        let mut open = vec![revision.id.as_str()];
        while let Some(id) = open.pop() {
            let Some(revision) = self.get(id) else { continue };
            if found.insert(revision.id.as_str()) {
                open.extend(revision.parents().map(String::as_str));
            }
        }
        found
    }

    /// A revision and everything that builds on it.
    #[must_use]
    pub fn with_dependents(&self, revision: &Revision) -> HashSet<&str> {
        let mut found = HashSet::new();
        for other in &self.revisions {
            let builds_on = other.parents().any(|parent| found.contains(parent.as_str()));
            if builds_on || other.id == revision.id {
                found.insert(other.id.as_str());
            }
        }
        found
    }

    /// The revisions to apply, in order, to reach a target.
    ///
    /// # Errors
    /// The target is unknown, ambiguous, too far, or lies backward.
    pub fn upgrade_path(
        &self,
        is_applied: impl Fn(&str) -> bool,
        target: &Target,
    ) -> Result<Vec<&Revision>, MigrationError> {
        let pending = |wanted: &dyn Fn(&Revision) -> bool| -> Vec<&Revision> {
            self.revisions.iter().filter(|revision| wanted(revision) && !is_applied(&revision.id)).collect()
        };
        match target {
            Target::Heads => Ok(pending(&|_| true)),
            Target::Head => {
                let heads = self.heads();
                if heads.len() > 1 { Err(several(&heads)) } else { Ok(pending(&|_| true)) }
            }
            Target::Forward(steps) => {
                let mut all = pending(&|_| true);
                if all.len() < *steps {
                    return Err(too_far(*steps, &all));
                }
                all.truncate(*steps);
                Ok(all)
            }
            Target::Revision(name) => {
                let wanted = self.with_ancestors(self.find(name)?);
                Ok(pending(&|revision| wanted.contains(revision.id.as_str())))
            }
            Target::Base | Target::Back(_) => Err(MigrationError::WrongTarget(
                "an upgrade goes forward: to head, heads, +N or a revision; to go back use \
                 `chatstore migrate downgrade`"
                    .to_owned(),
            )),
        }
    }

    /// The revisions to undo, in order, to go back to a target. Going back to a revision undoes everything
    /// that builds on it and leaves other branches alone.
    ///
    /// # Errors
    /// The target is unknown, ambiguous, not applied, too far, or lies forward.
    pub fn downgrade_path(
        &self,
        is_applied: impl Fn(&str) -> bool,
        target: &Target,
    ) -> Result<Vec<&Revision>, MigrationError> {
        let mut applied: Vec<&Revision> =
            self.revisions.iter().rev().filter(|revision| is_applied(&revision.id)).collect();
        match target {
            Target::Base => Ok(applied),
            Target::Back(steps) => {
                if applied.len() < *steps {
                    return Err(too_far(*steps, &applied));
                }
                applied.truncate(*steps);
                Ok(applied)
            }
            Target::Revision(name) => {
                let kept = self.find(name)?;
                if !is_applied(&kept.id) {
                    return Err(MigrationError::NotApplied(kept.to_string()));
                }
                let above = self.with_dependents(kept);
                applied.retain(|revision| revision.id != kept.id && above.contains(revision.id.as_str()));
                Ok(applied)
            }
            Target::Head | Target::Heads | Target::Forward(_) => Err(MigrationError::WrongTarget(
                "a downgrade goes back: to -N, a revision or base; to go forward use \
                 `chatstore migrate upgrade`"
                    .to_owned(),
            )),
        }
    }
}

fn several(heads: &[&Revision]) -> MigrationError {
    MigrationError::SeveralHeads(heads.iter().map(|head| head.id.clone()).collect())
}

fn too_far(asked: usize, left: &[&Revision]) -> MigrationError {
    MigrationError::TooFar { asked, left: left.len(), next: left.first().map(ToString::to_string) }
}

/// One circle among revisions that all wait for another of them.
fn circle(waiting: &BTreeMap<String, Revision>) -> Vec<String> {
    let mut path: Vec<String> = Vec::new();
    let mut next = waiting.keys().next().cloned();
    while let Some(id) = next {
        if let Some(begin) = path.iter().position(|seen| *seen == id) {
            path.drain(..begin);
            path.push(id);
            return path;
        }
        next = waiting
            .get(&id)
            .and_then(|revision| revision.parents().find(|parent| waiting.contains_key(*parent)))
            .cloned();
        path.push(id);
    }
    path
}
