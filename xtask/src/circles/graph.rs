//! Circles among things that point at each other.

use std::collections::{BTreeMap, BTreeSet};

/// The largest groups in which every member leads to every other, two members or more, the smallest group first.
pub(super) fn circles<'a, T: Ord>(arrows: impl IntoIterator<Item = (&'a T, &'a T)>) -> Vec<BTreeSet<&'a T>> {
    let mut targets: BTreeMap<&T, BTreeSet<&T>> = BTreeMap::new();
    for (from, to) in arrows {
        targets.entry(from).or_default().insert(to);
    }
    let reached: BTreeMap<&T, BTreeSet<&T>> =
        targets.keys().map(|start| (*start, reachable(&targets, start))).collect();
    let mut circles: Vec<BTreeSet<&T>> = Vec::new();
    for (member, others) in &reached {
        if circles.iter().any(|circle| circle.contains(member)) {
            continue;
        }
        let leads_back = |other: &&&T| reached.get(*other).is_some_and(|back| back.contains(member));
        let circle: BTreeSet<&T> = others.iter().filter(leads_back).copied().collect();
        if circle.len() > 1 {
            circles.push(circle);
        }
    }
    circles.sort_by_key(BTreeSet::len);
    circles
}

/// The groups that are not part of another, the smallest first.
pub(super) fn largest<T: Ord>(mut groups: Vec<BTreeSet<T>>) -> Vec<BTreeSet<T>> {
    groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
    let mut largest: Vec<BTreeSet<T>> = Vec::new();
    for group in groups {
        if !largest.iter().any(|kept| kept.is_superset(&group)) {
            largest.push(group);
        }
    }
    largest.reverse();
    largest
}

fn reachable<'a, T: Ord>(targets: &BTreeMap<&'a T, BTreeSet<&'a T>>, start: &'a T) -> BTreeSet<&'a T> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![start];
    while let Some(next) = waiting.pop() {
        for target in targets.get(next).into_iter().flatten() {
            if reached.insert(*target) {
                waiting.push(target);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles_of(arrows: &[(&'static str, &'static str)]) -> Vec<Vec<&'static str>> {
        let found = circles(arrows.iter().map(|(from, to)| (from, to)));
        found.into_iter().map(|circle| circle.into_iter().copied().collect()).collect()
    }

    #[test]
    fn circles_are_found_the_smallest_first() {
        let arrows = [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("d", "e"), ("e", "d"), ("e", "f")];

        assert_eq!(circles_of(&arrows), [vec!["d", "e"], vec!["a", "b", "c"]]);
    }

    #[test]
    fn circles_that_share_a_member_are_one() {
        let arrows = [("a", "b"), ("b", "a"), ("b", "c"), ("c", "b")];

        assert_eq!(circles_of(&arrows), [["a", "b", "c"]]);
    }

    #[test]
    fn two_ways_to_one_place_are_no_circle() {
        assert!(circles_of(&[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]).is_empty());
    }
}
