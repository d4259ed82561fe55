//! The documents of the repository: their first lines, their links, and the examples of the README.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::program::{Server, run};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The Markdown files below a folder, without what is built or hidden.
fn pages(folder: &Path, found: &mut BTreeMap<PathBuf, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            pages(&path, found);
        } else if name.ends_with(".md") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.insert(path, text);
        }
    }
}

/// The text without blocks of code, in which brackets are no links.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// The targets of the links `[…](target)` of a page.
fn links(text: &str) -> Vec<String> {
    let targets = prose(text);
    let targets = targets.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).collect()
}

/// The anchor that code hosts give a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|character| character.is_alphanumeric() || " -_".contains(*character));
    kept.collect::<String>().trim().replace(' ', "-")
}

fn has_heading(text: &str, wanted: &str) -> bool {
    let text = prose(text);
    text.lines().any(|line| line.starts_with('#') && anchor(line.trim_start_matches('#')) == wanted)
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    let mut pages_by_path = BTreeMap::new();
    pages(&repository(), &mut pages_by_path);
    assert!(pages_by_path.len() > 20, "{} pages", pages_by_path.len());
    let mut broken = Vec::new();
    for (path, text) in &pages_by_path {
        for link in links(text).into_iter().filter(|link| !link.contains("://")) {
            let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let Ok(target) = target.canonicalize() else {
                broken.push(format!("{}: {link}", path.display()));
                continue;
            };
            let is_there = |text: &String| heading.is_empty() || has_heading(text, heading);
            if !pages_by_path.get(&target).is_none_or(is_there) {
                broken.push(format!("{}: {link} has no such heading", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "broken links: {broken:#?}");
}

#[test]
fn every_page_names_its_audience_below_its_title() {
    let mut found = BTreeMap::new();
    pages(&repository().join("docs"), &mut found);
    for (path, text) in found.iter().filter(|(path, _)| path.parent().unwrap().ends_with("docs")) {
        let mut lines = text.lines().filter(|line| !line.is_empty());
        let (title, audience) = (lines.next().unwrap(), lines.next().unwrap());
        assert!(title.starts_with("# "), "{} begins with {title}", path.display());
        assert!(audience.starts_with("Audience: "), "{} goes on with {audience}", path.display());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_example_of_the_readme_stores_a_message() {
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let (_, example) = readme.split_once("```python\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["user", "create", "--username", "ada"]).data();
    let key = run(folder.path(), &["key", "create", "--user", "ada"]).data().to_owned();
    let server = Server::start(folder.path(), &["serve", "--bind", "127.0.0.1:0"]);
    let script = folder.path().join("first.py");
    let address = example.replace("http://127.0.0.1:8080", &server.origin);
    assert_ne!(address, example, "the example names the default address");
    std::fs::write(&script, address.replace("os.environ[\"KEY\"]", &format!("{key:?}"))).unwrap();
    let printed = chatstore_testkit::python(&script, &[]);
    assert_eq!(printed, "1 Where is it warm in March?\n");
    assert_eq!(server.stop(), Some(0));
}
