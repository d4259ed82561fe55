//! What one source file says about others: its modules, its imports, and the paths in its code.
//!
//! The file is read as the compiler's tokens, so comments and texts say nothing, and what a macro is given is read
//! like other code. What is compiled for tests alone is passed over.

use std::collections::BTreeSet;
use std::str::FromStr;

use proc_macro2::{Delimiter, LexError, TokenStream, TokenTree};

/// The words that introduce the name of an item.
const ITEMS: [&str; 8] = ["fn", "struct", "enum", "union", "trait", "type", "const", "static"];

/// What stands in one module, in a file of its own or in braces.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Module {
    /// The modules that have a file of their own.
    pub(super) files: Vec<String>,
    pub(super) inline: Vec<(String, Module)>,
    pub(super) imports: Vec<Import>,
    /// Paths of two segments or more in the code.
    pub(super) mentions: Vec<Vec<String>>,
    pub(super) items: BTreeSet<String>,
    /// Every name that the code outside imports uses, apart from methods and fields.
    pub(super) words: BTreeSet<String>,
}

/// One name of a `use` declaration.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Import {
    /// From the first segment to the last; without the `*` of a glob.
    pub(super) path: Vec<String>,
    /// The name it has here; none for a glob and for `as _`.
    pub(super) name: Option<String>,
    pub(super) is_public: bool,
}

/// Reads a source file.
pub(super) fn read(source: &str) -> Result<Module, LexError> {
    let mut tokens = Vec::new();
    flatten(TokenStream::from_str(source)?, &mut tokens);
    let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
    let mut module = Module::default();
    module.read(&tokens);
    Ok(module)
}

/// Names, signs, and the braces around groups. `::` is one token; of a literal only its place is kept.
fn flatten(stream: TokenStream, tokens: &mut Vec<String>) {
    for token in stream {
        match token {
            TokenTree::Group(group) => {
                let [open, close] = match group.delimiter() {
                    Delimiter::Parenthesis => ["(", ")"],
                    Delimiter::Brace => ["{", "}"],
                    Delimiter::Bracket => ["[", "]"],
                    Delimiter::None => ["", ""],
                };
                tokens.push(open.to_owned());
                flatten(group.stream(), tokens);
                tokens.push(close.to_owned());
            }
            TokenTree::Ident(ident) => tokens.push(ident.to_string().trim_start_matches("r#").to_owned()),
            TokenTree::Punct(punct) => match tokens.last_mut() {
                Some(colon) if punct.as_char() == ':' && colon == ":" => colon.push(':'),
                _ => tokens.push(punct.to_string()),
            },
            TokenTree::Literal(_) => tokens.push("0".to_owned()),
        }
    }
}

impl Module {
    fn read<'t>(&mut self, mut tokens: &'t [&'t str]) {
        let mut is_public = false;
        while let Some((first, rest)) = tokens.split_first() {
            let was_public = std::mem::take(&mut is_public);
            tokens = match (*first, rest) {
                ("#", ["[", "cfg", "(", "test" | "doctest", ")", "]", item @ ..]) => after_item(item),
                // The end of a range, a method or a field.
                (".", [".", rest @ ..]) => rest,
                (".", [name, rest @ ..]) if is_name(name) => rest,
                ("pub", _) => {
                    is_public = true;
                    if rest.first() == Some(&"(") { group(rest).1 } else { rest }
                }
                ("use", _) => self.read_use(rest, &[], was_public),
                ("mod", [name, "{", ..]) if is_name(name) => {
                    let (inside, rest) = group(&rest[1..]);
                    let mut inline = Self::default();
                    inline.read(inside);
                    self.inline.push(((*name).to_owned(), inline));
                    rest
                }
                ("mod", [name, rest @ ..]) if is_name(name) => {
                    self.files.push((*name).to_owned());
                    rest
                }
                (word, [name, ..]) if ITEMS.contains(&word) => {
                    if is_name(name) {
                        self.items.insert((*name).to_owned());
                    }
                    rest
                }
                (name, _) if is_name(name) => self.read_path(name, rest),
                _ => rest,
            };
        }
    }

    /// The names of a `use`, whose path begins with `start`; what follows it.
    fn read_use<'t>(
        &mut self,
        mut tokens: &'t [&'t str],
        start: &[String],
        is_public: bool,
    ) -> &'t [&'t str] {
        let mut path = start.to_vec();
        let mut alias = None;
        let mut is_glob = false;
        while let Some((first, rest)) = tokens.split_first() {
            if *first == "{" {
                let (mut inside, rest) = group(tokens);
                while !inside.is_empty() {
                    inside = self.read_use(inside, &path, is_public);
                }
                // What follows the braces belongs to the list around them.
                return rest.get(1..).unwrap_or_default();
            }
            tokens = rest;
            match (*first, rest) {
                (";" | ",", _) => break,
                ("as", [name, rest @ ..]) => {
                    alias = Some(*name);
                    tokens = rest;
                }
                ("*", _) => is_glob = true,
                (name, _) if is_name(name) => path.push(name.to_owned()),
                _ => {}
            }
        }
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let name = match alias {
            Some(alias) => Some(alias.to_owned()).filter(|alias| alias != "_"),
            None if is_glob => None,
            None => path.last().cloned(),
        };
        self.imports.push(Import { path, name, is_public });
        tokens
    }

    /// A name in the code, which may be the first segment of a path; what follows it.
    fn read_path<'t>(&mut self, first: &str, mut rest: &'t [&'t str]) -> &'t [&'t str] {
        let mut path = vec![first.to_owned()];
        while let ["::", after @ ..] = rest {
            rest = after;
            let Some((name, after)) = rest.split_first().filter(|(name, _)| is_name(name)) else { break };
            path.push((*name).to_owned());
            rest = after;
        }
        self.words.insert(first.to_owned());
        if path.len() > 1 {
            self.mentions.push(path);
        }
        rest
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// What stands in the braces that the tokens begin with, and what follows them.
fn group<'t>(tokens: &'t [&'t str]) -> (&'t [&'t str], &'t [&'t str]) {
    let mut depth = 0;
    for (place, token) in tokens.iter().enumerate() {
        match *token {
            "(" | "{" | "[" => depth += 1,
            ")" | "}" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (&tokens[1..place], &tokens[place + 1..]);
        }
    }
    (tokens, &[])
}

/// What follows an item, which ends with its semicolon or its braces.
fn after_item<'t>(mut tokens: &'t [&'t str]) -> &'t [&'t str] {
    while let Some((first, rest)) = tokens.split_first() {
        tokens = match *first {
            ";" => return rest,
            "{" => return group(tokens).1,
            "(" | "[" => group(tokens).1,
            _ => rest,
        };
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(source: &str) -> Vec<String> {
        let module = read(source).unwrap();
        let imports = module.imports.iter().map(|import| &import.path);
        imports.chain(&module.mentions).map(|path| path.join("::")).collect()
    }

    #[test]
    fn a_list_of_names_is_as_many_imports() {
        let source = "pub(crate) use crate::a::{self, b::{C, D as E}, f as _, g::*};";

        let imports = read(source).unwrap().imports;
        let found: Vec<_> =
            imports.iter().map(|import| (import.path.join("::"), import.name.as_deref())).collect();

        assert_eq!(
            found,
            [
                ("crate::a".to_owned(), Some("a")),
                ("crate::a::b::C".to_owned(), Some("C")),
                ("crate::a::b::D".to_owned(), Some("E")),
                ("crate::a::f".to_owned(), None),
                ("crate::a::g".to_owned(), None),
            ]
        );
        assert!(imports.iter().all(|import| import.is_public));
    }

    #[test]
    fn paths_in_bodies_and_in_macros_count() {
        let source = "fn f() { crate::a::g(super::b::C); vec![crate::d::E] }";

        assert_eq!(paths(source), ["crate::a::g", "super::b::C", "crate::d::E"]);
    }

    #[test]
    fn comments_texts_and_what_is_for_tests_say_nothing() {
        let source = r#"
            //! See [`crate::a::A`].
            /* crate::b::B */
            const TEXT: &str = "crate::c::C";
            pub(in crate::d) struct Inner;
            #[cfg(test)]
            use crate::e::E;
            #[cfg(test)]
            pub(crate) mod fixtures;
            #[cfg(test)]
            mod tests { use crate::f::F; }
        "#;

        assert_eq!(paths(source), [] as [&str; 0]);
        assert_eq!(read(source).unwrap().files, [] as [&str; 0]);
    }

    #[test]
    fn modules_in_braces_are_read_apart() {
        let module = read("mod a; pub mod b { use super::a::A; }").unwrap();

        assert_eq!(module.files, ["a"]);
        let (name, inline) = &module.inline[0];
        assert_eq!(name, "b");
        assert_eq!(inline.imports[0].path, ["super", "a", "A"]);
    }
}
