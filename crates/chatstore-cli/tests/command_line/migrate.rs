use chatstore_testkit::{TestDatabase, conformance};

use crate::program::run;

conformance!(the_tables_go_down_and_up_again);

async fn the_tables_go_down_and_up_again(case: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let migrate = |arguments: &[&str]| {
        let mut all = vec!["migrate"];
        all.extend(arguments);
        all.extend(["--database-url", &case.url]);
        run(folder.path(), &all)
    };
    assert!(migrate(&["upgrade"]).stderr.contains("nothing to apply"));
    assert!(migrate(&["current"]).data().contains("f3a91c07d2b4 first_schema applied "));
    migrate(&["downgrade"]).assert_failed(1, "undoing a revision deletes what its tables hold");
    assert!(migrate(&["downgrade", "base", "--allow-data-loss"]).stderr.contains("undone f3a91c07d2b4"));
    assert_eq!(migrate(&["current"]).data(), "f3a91c07d2b4 first_schema pending");
    if case.url.starts_with("postgresql") {
        let refused = run(folder.path(), &["serve", "--bind", "127.0.0.1:0", "--database-url", &case.url]);
        refused.assert_failed(78, "lacks the revision f3a91c07d2b4");
    }
    assert!(migrate(&["upgrade"]).stderr.contains("applied f3a91c07d2b4"));
    let current = migrate(&["current", "--json"]).json();
    assert_eq!(current["revisions"][0]["id"], "f3a91c07d2b4");
}
