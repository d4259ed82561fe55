//! Which revisions, graphs and folders are well-formed, and what is reported of the others.

#![allow(clippy::unwrap_used, missing_docs, reason = "a case that meets the unexpected fails at once")]

use chatstore_migrate::{
    Dialect, Graph, MigrationError, NewRevision, Revision, RevisionFiles, Target, read_folders, slug_of,
};

fn files(id: &str, description: &str, up: &str) -> RevisionFiles {
    RevisionFiles {
        folder: format!("{id}_step").into(),
        description: format!("id = {id:?}\nslug = \"step\"\nmessage = \"a step\"\n{description}").into(),
        up_sqlite: Some(up.to_owned().into()),
        up_postgres: Some(up.to_owned().into()),
        down_sqlite: Some("".into()),
        down_postgres: None,
    }
}

fn revision(id: &str, description: &str) -> Revision {
    Revision::parse(files(id, description, "select 1;")).unwrap()
}

fn refusal(files: RevisionFiles) -> String {
    let error = Revision::parse(files).unwrap_err();
    assert!(matches!(error, MigrationError::Malformed { .. }), "{error}");
    error.to_string()
}

const A: &str = "00000000000a";
const B: &str = "00000000000b";
const C: &str = "00000000000c";

#[test]
fn a_folder_that_is_not_well_formed_is_named_with_what_is_wrong() {
    let of = |description: &str, up: &str| refusal(files(A, description, up));
    assert!(of("revises = []\ncolour = 1", "").contains("colour"));
    assert!(of("revises = []\nlabels = [\"head\"]", "").contains("label \"head\" is reserved"));
    assert!(of("revises = []", "begin; select 1; commit;").contains("begins or ends a transaction"));
    let two = "create index concurrently a on b (c); select 1;";
    assert!(of("revises = []\ntransaction = false", two).contains("has 2 statements"));
    assert!(
        of("revises = []\ntransaction = false\ndata_step = \"x\"", "select 1").contains("a data step needs")
    );
    let moved = RevisionFiles { folder: "elsewhere".into(), ..files(A, "revises = []", "") };
    assert!(refusal(moved).contains("should be named 00000000000a_step"));
    assert!(refusal(files("xyz", "revises = []", "")).contains("12 hexadecimal digits"));
    let half = RevisionFiles { up_postgres: None, ..files(A, "revises = []", "") };
    assert!(refusal(half).contains("has no up.pg.sql"));
}

#[test]
fn a_graph_that_is_not_well_formed_names_the_revisions() {
    let refused = |revisions: Vec<Revision>| Graph::new(revisions).unwrap_err().to_string();
    let root = || revision(A, "revises = []");
    assert!(refused(vec![root(), root()]).contains("two folders have the revision 00000000000a"));
    let orphan = revision(B, "revises = [\"0123\"]");
    assert!(
        refused(vec![root(), orphan]).contains("00000000000b (step) builds on 0123, which does not exist")
    );
    let (b, c) = (format!("revises = [{C:?}]"), format!("revises = [{A:?}]\ndepends_on = [{B:?}]"));
    let circle = refused(vec![root(), revision(B, &b), revision(C, &c)]);
    assert!(circle.contains("00000000000b -> 00000000000c -> 00000000000b"), "{circle}");
    let labelled = |id| revision(id, "revises = []\nlabels = [\"one\"]");
    assert!(refused(vec![labelled(A), labelled(B)]).contains("the label one is on the revisions"));
}

#[test]
fn the_order_does_not_depend_on_the_order_in_which_revisions_are_found() {
    let (root, left, right) = (
        revision(C, "revises = []"),
        revision(A, &format!("revises = [{C:?}]")),
        revision(B, &format!("revises = [{C:?}]")),
    );
    let all = [root, left, right];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let graph = Graph::new(order.map(|position| all[position].clone()).to_vec()).unwrap();
        let ids: Vec<&str> = graph.revisions().iter().map(|revision| revision.id.as_str()).collect();
        assert_eq!(ids, [C, A, B]);
        assert_eq!(graph.heads().len(), 2);
        assert_eq!(graph.branches().len(), 1);
    }
}

#[test]
fn a_revision_is_found_by_a_beginning_that_no_other_has() {
    let graph = Graph::new(vec![
        revision(A, "revises = []"),
        revision("ab0000000000", &format!("revises = [{A:?}]")),
    ])
    .unwrap();
    assert_eq!(graph.find("ab").unwrap().id, "ab0000000000");
    assert!(matches!(graph.find(""), Err(MigrationError::NoSuchRevision(_))));
    assert!(matches!(graph.find("a"), Ok(revision) if revision.id == "ab0000000000"));
    assert!(graph.upgrade_path(|_| false, &Target::from("-1")).is_err());
    assert!(graph.downgrade_path(|_| true, &Target::from("head")).is_err());
}

#[test]
fn the_digest_is_that_of_what_is_run() {
    let digest =
        |description, up: &str| Revision::parse(files(A, description, up)).unwrap().sha256(Dialect::Sqlite);
    let plain = digest("revises = []", "select 1;");
    assert_eq!(plain, "354b7196c9ba5fb4b21cf615bb6ec4cd5c07503c34229feef033fc081a8c03f4");
    assert_ne!(plain, digest("revises = []", "select 2;"));
    assert_ne!(plain, digest("revises = []\ndata_step = \"fill\"", "select 1;"));
    assert_eq!(plain, digest("revises = []\nlabels = [\"x\"]", "select 1;"));
}

#[test]
fn what_is_written_can_be_read() {
    let directory = std::env::temp_dir().join(format!("chatstore-migrate-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let message = "Add \"notes\" to \\ chats\u{7}";
    let new = |id: &str, revises: &[&str], is_merge| {
        let revises = revises.iter().map(|id| (*id).to_owned()).collect();
        NewRevision { id: id.to_owned(), message, revises, depends_on: Vec::new(), is_merge }
            .write(&directory)
            .unwrap();
    };
    new(A, &[], false);
    new(B, &[A], true);
    let graph = Graph::new(read_folders(&directory).unwrap()).unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    let written = graph.get(A).unwrap();
    assert_eq!((written.slug.as_str(), written.message.as_str()), ("add_notes_to_chats", message));
    assert!(written.destructive && !graph.get(B).unwrap().destructive);
    assert_eq!(
        slug_of("  Ärger & more__things, one two three four five six seven"),
        "rger_more_things_one_two_three_four_five"
    );
}
