//! Small repositories with and without circles.

use super::*;

/// A repository in a folder of its own, with one package `p`, removed when this is dropped.
struct Repository(tempfile::TempDir);

impl Repository {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join("crates/p/src").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(folder)
    }

    fn allowing(self, list: &str) -> Self {
        let path = self.0.path().join(ALLOWED);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, list).unwrap();
        self
    }

    /// Each circle as its files.
    fn circles(&self) -> Vec<Vec<String>> {
        let circles = find(self.0.path()).unwrap();
        circles
            .iter()
            .map(|circle| circle.files.iter().map(|file| file.display().to_string()).collect())
            .collect()
    }

    fn is_clean(&self) -> bool {
        check(self.0.path()).unwrap()
    }
}

#[test]
fn files_that_import_each_other_are_a_circle() {
    let repository = Repository::new(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b::B; pub struct A;"),
        ("b.rs", "pub struct B; fn f() { super::a::A; }"),
        ("c.rs", "use crate::{a::A, b::B};"),
    ]);

    assert_eq!(repository.circles(), [["a.rs", "b.rs"]]);
    assert!(!repository.is_clean());
}

#[test]
fn declaring_a_module_is_no_use_of_it() {
    let repository = Repository::new(&[
        ("lib.rs", "pub mod a; pub use a::A; pub fn shared() {}"),
        ("a.rs", "pub struct A; fn f() { crate::shared(); }"),
    ]);

    assert!(repository.is_clean());
}

#[test]
fn a_module_and_the_files_below_it_may_use_each_other() {
    let repository = Repository::new(&[
        ("lib.rs", "mod a; pub fn shared() -> a::A { a::A }"),
        ("a/mod.rs", "mod b; pub struct A; fn f() { b::g(); }"),
        ("a/b.rs", "use super::A; pub fn g() { crate::shared(); }"),
    ]);

    assert!(repository.is_clean());
}

#[test]
fn a_circle_through_a_module_and_a_file_below_it_counts() {
    let repository = Repository::new(&[
        ("lib.rs", "mod house; mod guest;"),
        ("house/mod.rs", "mod room; pub fn f() { room::g(); }"),
        ("house/room.rs", "pub fn g() { crate::guest::h(); }"),
        ("guest.rs", "pub fn h() { crate::house::f(); }"),
    ]);

    assert_eq!(repository.circles(), [["guest.rs", "house/mod.rs", "house/room.rs"]]);
}

#[test]
fn an_import_counts_for_the_file_that_defines_the_name() {
    let repository = Repository::new(&[
        ("lib.rs", "mod house; mod guest;"),
        ("house/mod.rs", "mod room; mod door; pub use room::Room;"),
        ("house/room.rs", "use super::door::Door; pub struct Room;"),
        ("house/door.rs", "use crate::guest::Guest; pub struct Door;"),
        ("guest.rs", "use crate::house::{self, Room}; pub struct Guest; fn f() -> house::Room { Room }"),
    ]);

    assert_eq!(repository.circles(), [["guest.rs", "house/door.rs", "house/room.rs"]]);
}

#[test]
fn names_from_other_crates_tie_nothing() {
    let repository = Repository::new(&[
        ("lib.rs", "mod a; pub use other::Other; fn f() { a::g(); }"),
        ("a.rs", "use std::fmt; use other::a::A; pub fn g() { fmt::a(); }"),
    ]);

    assert!(repository.is_clean());
}

#[test]
fn tests_may_import_what_they_like() {
    let repository = Repository::new(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::B; pub struct A;"),
        ("b.rs", "pub struct B; #[cfg(test)] mod tests { use super::*; use crate::a::A; }"),
    ]);

    assert!(repository.is_clean());
}

#[test]
fn a_program_is_a_crate_of_its_own() {
    let repository = Repository::new(&[
        ("lib.rs", "mod a;"),
        ("a.rs", ""),
        ("bin/tool.rs", "mod b { use crate::Tool; } pub struct Tool;"),
        ("main.rs", "mod c; mod d;"),
        ("c.rs", "pub fn run() { crate::d::run(); }"),
        ("d.rs", "pub fn run() { crate::c::run(); }"),
    ]);

    assert_eq!(repository.circles(), [["c.rs", "d.rs"]]);
}

#[test]
fn an_allowed_circle_passes_until_it_changes() {
    let list =
        "[[circle]]\npackage = \"p\"\nfiles = [\"a.rs\", \"b.rs\"]\nreason = \"one type in two files\"\n";
    let pair = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b::B; pub struct A;"),
        ("b.rs", "use crate::a::A; pub struct B;"),
        ("c.rs", "pub struct C;"),
    ];
    let mut larger = pair;
    larger[1].1 = "use crate::{b::B, c::C}; pub struct A;";
    larger[3].1 = "use crate::a::A; pub struct C;";
    let mut none = pair;
    none[2].1 = "pub struct B;";

    assert!(Repository::new(&pair).allowing(list).is_clean());
    assert!(!Repository::new(&larger).allowing(list).is_clean());
    assert!(!Repository::new(&none).allowing(list).is_clean());
}
