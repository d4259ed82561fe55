//! The dashboard and the alerts of the documentation: whether what they ask for is served.

use std::collections::BTreeSet;

use chatstore_http::{MetricDescription, metric_descriptions};
use serde_json::Value;
use yaml_rust2::YamlLoader;

use crate::metrics::series;

const DASHBOARD: &str = include_str!("../../../../docs/monitoring/dashboard.json");
const ALERTS: &str = include_str!("../../../../docs/monitoring/alerts.yml");
const DOCUMENTS: [&str; 2] =
    [include_str!("../../../../docs/operations.md"), include_str!("../../../../docs/http.md")];

/// Labels that Prometheus adds to every series.
const ADDED: [&str; 2] = ["instance", "job"];

/// The functions of PromQL that are in use.
const FUNCTIONS: [&str; 11] = [
    "absent",
    "changes",
    "count",
    "histogram_quantile",
    "increase",
    "min",
    "rate",
    "sum",
    "time",
    "topk",
    "label_values",
];

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Symbol(char),
}

/// A label, an operator, a value.
type Matcher = (String, String, String);

/// What a query asks for.
#[derive(Debug, Default)]
struct Query {
    /// The series, and what their labels must be.
    selectors: Vec<(String, Vec<Matcher>)>,
    /// The labels by which it groups.
    groups: BTreeSet<String>,
}

fn tokens(text: &str) -> Vec<Token> {
    let (mut tokens, mut rest) = (Vec::new(), text.trim_start());
    while let Some(first) = rest.chars().next() {
        let is_word = |character: char| character.is_ascii_alphanumeric() || "_:.$".contains(character);
        let length = if first == '"' {
            let end = rest[1..].find('"').unwrap() + 2;
            tokens.push(Token::Text(rest[1..end - 1].to_owned()));
            end
        } else if first == '[' {
            rest.find(']').unwrap() + 1
        } else if is_word(first) {
            let end = rest.find(|character| !is_word(character)).unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            end
        } else {
            tokens.push(Token::Symbol(first));
            first.len_utf8()
        };
        rest = rest[length..].trim_start();
    }
    tokens
}

/// Reads a query of the kind that is in use; panics at one that is not well-formed.
fn query(text: &str) -> Query {
    let tokens = tokens(text);
    let (mut query, mut depth, mut position) = (Query::default(), 0, 0);
    while let Some(token) = tokens.get(position) {
        position += 1;
        let next = tokens.get(position);
        match token {
            Token::Symbol('(') => depth += 1,
            Token::Symbol(')') => depth -= 1,
            Token::Word(word) if word == "by" || word == "without" => {
                let names = tokens[position..].iter().take_while(|token| **token != Token::Symbol(')'));
                query.groups.extend(names.filter_map(word_of));
                position +=
                    tokens[position..].iter().position(|token| *token == Token::Symbol(')')).unwrap() + 1;
            }
            Token::Word(word) if word.starts_with(|first: char| first.is_ascii_digit()) => {}
            Token::Word(word)
                if next == Some(&Token::Symbol('(')) || next == Some(&Token::Word("by".to_owned())) =>
            {
                assert!(FUNCTIONS.contains(&word.as_str()), "{word} is no function: {text}");
            }
            Token::Word(word) => {
                let mut matchers = Vec::new();
                if next == Some(&Token::Symbol('{')) {
                    let end = tokens[position..].iter().position(|token| *token == Token::Symbol('}'));
                    let end = position + end.unwrap();
                    matchers = tokens[position + 1..end]
                        .split(|token| *token == Token::Symbol(','))
                        .map(matcher)
                        .collect();
                    position = end + 1;
                }
                query.selectors.push((word.clone(), matchers));
            }
            Token::Text(_) | Token::Symbol(_) => {}
        }
        assert!(depth >= 0, "a bracket is closed that is not open: {text}");
    }
    assert_eq!(depth, 0, "a bracket is not closed: {text}");
    query
}

fn word_of(token: &Token) -> Option<String> {
    match token {
        Token::Word(word) => Some(word.clone()),
        _ => None,
    }
}

fn matcher(tokens: &[Token]) -> Matcher {
    match tokens {
        [Token::Word(label), operator @ .., Token::Text(value)] => {
            let operator = operator.iter().map(|token| match token {
                Token::Symbol(symbol) => *symbol,
                other => panic!("{other:?} is no operator"),
            });
            (label.clone(), operator.collect(), value.clone())
        }
        other => panic!("{other:?} is no condition"),
    }
}

fn described(name: &str) -> &'static MetricDescription {
    let found =
        metric_descriptions().iter().find(|metric| series(metric).iter().any(|series| series == name));
    found.unwrap_or_else(|| panic!("{name} is not served"))
}

/// The labels of a series.
fn labels(name: &str) -> BTreeSet<String> {
    let own = described(name).labels().iter().copied();
    let end = name.ends_with("_bucket").then_some("le");
    own.chain(ADDED).chain(end).map(str::to_owned).collect()
}

/// Checks what a query asks for, and returns the labels that its answer has.
fn check(text: &str) -> BTreeSet<String> {
    let query = query(text);
    let mut known = BTreeSet::new();
    for (name, matchers) in &query.selectors {
        let labels = labels(name);
        for (label, operator, value) in matchers {
            assert!(labels.contains(label), "{name} has no label {label}: {text}");
            assert!(["=", "!=", "=~", "!~"].contains(&operator.as_str()), "{operator}: {text}");
            if !ADDED.contains(&label.as_str()) {
                check_value(label, value, text);
            }
        }
        known.extend(labels);
    }
    for label in &query.groups {
        assert!(known.contains(label), "nothing has the label {label}: {text}");
    }
    if query.groups.is_empty() { known } else { query.groups }
}

/// A value that a query names is one that the documentation names, unless it is a pattern.
fn check_value(label: &str, value: &str, text: &str) {
    for word in value.split('|').filter(|word| !word.contains(['.', '*'])) {
        let is_documented = DOCUMENTS.iter().any(|document| document.contains(&format!("`{word}`")));
        assert!(is_documented, "{label} is nowhere said to be {word}: {text}");
    }
}

/// The queries of the dashboard, each with its legend.
fn panels() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let text = |field: &str| target[field].as_str().unwrap().to_owned();
            queries.push((text("expr"), text("legendFormat")));
        }
    }
    for place in ["/annotations/list", "/templating/list"] {
        for query in dashboard.pointer(place).unwrap().as_array().unwrap() {
            let found = query["expr"].as_str().or(query["definition"].as_str());
            queries.extend(found.map(|text| (text.to_owned(), String::new())));
        }
    }
    queries
}

/// The names between these two in a text.
fn names<'t>(text: &'t str, start: &str, end: &str) -> Vec<&'t str> {
    text.split(start).skip(1).map(|rest| rest.split(end).next().unwrap().trim()).collect()
}

#[test]
fn the_dashboard_asks_for_what_is_served() {
    for (text, legend) in panels() {
        let text =
            text.strip_prefix("label_values(").map_or(text.as_str(), |rest| rest.split(',').next().unwrap());
        let labels = check(text);
        for name in names(&legend, "{{", "}}") {
            assert!(labels.contains(name), "{legend} of {text}");
        }
    }
}

#[test]
fn the_dashboard_shows_every_metric() {
    let shown: Vec<String> =
        panels().iter().flat_map(|(text, _)| query(text).selectors).map(|(name, _)| name).collect();
    for metric in metric_descriptions() {
        assert!(series(metric).iter().any(|name| shown.contains(name)), "{} is not shown", metric.name());
    }
}

#[test]
fn the_alerts_ask_for_what_is_served_and_say_what_to_do() {
    let alerts = &YamlLoader::load_from_str(ALERTS).unwrap()[0];
    let rules = alerts["groups"][0]["rules"].as_vec().unwrap();
    let mut alerts_by_name = BTreeSet::new();
    for rule in rules {
        let name = rule["alert"].as_str().unwrap();
        assert!(alerts_by_name.insert(name), "{name} is there twice");
        let labels = check(rule["expr"].as_str().unwrap());
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning"].contains(&severity), "{name}");
        for annotation in ["summary", "description"] {
            let text = rule["annotations"][annotation].as_str().unwrap();
            assert!(!text.is_empty(), "{name}");
            for label in names(text, "$labels.", " ") {
                assert!(labels.contains(label), "{name}: {label}");
            }
        }
    }
}

#[test]
#[should_panic(expected = "chatstore_http_request_total is not served")]
fn a_query_for_a_metric_that_is_not_served_is_noticed() {
    check("sum by (status) (rate(chatstore_http_request_total[5m]))");
}

#[test]
#[should_panic(expected = "chatstore_http_problems_total has no label kind")]
fn a_query_for_a_label_that_a_metric_has_not_is_noticed() {
    check("rate(chatstore_http_problems_total{kind=\"overloaded\"}[5m])");
}

#[test]
#[should_panic(expected = "outcome is nowhere said to be lost")]
fn a_query_for_a_value_that_a_label_never_has_is_noticed() {
    check("rate(chatstore_log_events_total{outcome=\"lost\"}[5m])");
}
