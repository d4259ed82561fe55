//! What one source file says about others: its modules, its imports, and the paths in its code.
//!
//! The file is read as the compiler's tokens, so comments and texts say nothing, and what a macro is given is read
//! like other code. What is compiled for tests alone is passed over.

use std::collections::BTreeSet;
use std::str::FromStr;

use proc_macro2::{Delimiter, Ident, LexError, TokenStream, TokenTree};

/// The words that introduce the name of an item.
const ITEMS: [&str; 8] = ["fn", "struct", "enum", "union", "trait", "type", "const", "static"];

/// What stands in one module, in a file of its own or in braces.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Module {
    /// The modules that have a file of their own.
    pub(super) files: Vec<String>,
    pub(super) inline: Vec<(String, Module)>,
    pub(super) imports: Vec<Import>,
    pub(super) mentions: Vec<Mention>,
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
    pub(super) line: usize,
}

/// A path of two segments or more in the code.
#[derive(Debug, PartialEq)]
pub(super) struct Mention {
    pub(super) path: Vec<String>,
    pub(super) line: usize,
}

/// Reads a source file.
pub(super) fn read(source: &str) -> Result<Module, LexError> {
    let mut module = Module::default();
    module.read(TokenStream::from_str(source)?);
    Ok(module)
}

impl Module {
    fn read(&mut self, tokens: TokenStream) {
        let mut tokens = Tokens(tokens.into_iter().collect::<Vec<_>>());
        // The last token is the first to be read.
        tokens.0.reverse();
        let mut is_public = false;
        while let Some(token) = tokens.next() {
            let was_public = std::mem::take(&mut is_public);
            match token {
                TokenTree::Punct(punct) if punct.as_char() == '#' && tokens.next_is_for_tests() => {
                    tokens.skip_item();
                }
                TokenTree::Punct(punct) if punct.as_char() == '.' => tokens.skip_member(),
                TokenTree::Ident(ident) if ident == "pub" => {
                    tokens.skip_group(Delimiter::Parenthesis);
                    is_public = true;
                }
                TokenTree::Ident(ident) if ident == "use" => {
                    let line = ident.span().start().line;
                    self.read_use(&mut tokens, &[], was_public, line);
                }
                TokenTree::Ident(ident) if ident == "mod" => self.read_module(&mut tokens),
                TokenTree::Ident(ident) => self.read_name(ident, &mut tokens),
                TokenTree::Group(group) => self.read(group.stream()),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }

    fn read_module(&mut self, tokens: &mut Tokens) {
        let Some(name) = tokens.name() else { return };
        match tokens.next() {
            Some(TokenTree::Group(group)) => {
                let mut inline = Self::default();
                inline.read(group.stream());
                self.inline.push((name, inline));
            }
            _ => self.files.push(name),
        }
    }

    /// The names of a `use`, whose path begins with `start`.
    fn read_use(&mut self, tokens: &mut Tokens, start: &[String], is_public: bool, line: usize) {
        let mut path = start.to_vec();
        let mut name = None;
        let mut is_glob = false;
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ';' || punct.as_char() == ',' => break,
                TokenTree::Punct(punct) => is_glob |= punct.as_char() == '*',
                TokenTree::Ident(ident) if ident == "as" => name = tokens.name(),
                TokenTree::Ident(ident) => path.push(plain(&ident)),
                TokenTree::Group(group) => {
                    let mut inner = Tokens(group.stream().into_iter().collect());
                    inner.0.reverse();
                    while inner.peek().is_some() {
                        self.read_use(&mut inner, &path, is_public, line);
                    }
                    // What follows the braces belongs to the list around them.
                    if matches!(tokens.peek(), Some(TokenTree::Punct(_))) {
                        tokens.next();
                    }
                    return;
                }
                TokenTree::Literal(_) => {}
            }
        }
        if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
            path.pop();
        }
        let name = match name {
            Some(name) => Some(name).filter(|name| name != "_"),
            None if is_glob => None,
            None => path.last().cloned(),
        };
        self.imports.push(Import { path, name, is_public, line });
    }

    /// A name in the code: of an item, or the first segment of a path.
    fn read_name(&mut self, ident: Ident, tokens: &mut Tokens) {
        let line = ident.span().start().line;
        let first = plain(&ident);
        if ITEMS.contains(&first.as_str()) {
            if let Some(TokenTree::Ident(name)) = tokens.peek() {
                self.items.insert(plain(name));
            }
            return;
        }
        let mut path = vec![first.clone()];
        while tokens.is_separator() {
            tokens.next();
            tokens.next();
            match tokens.name() {
                Some(segment) => path.push(segment),
                None => break,
            }
        }
        self.words.insert(first);
        if path.len() > 1 {
            self.mentions.push(Mention { path, line });
        }
    }
}

/// What is still to be read, the next one last.
struct Tokens(Vec<TokenTree>);

impl Tokens {
    fn next(&mut self) -> Option<TokenTree> {
        self.0.pop()
    }

    fn peek(&self) -> Option<&TokenTree> {
        self.0.last()
    }

    /// The next token, where it is a name.
    fn name(&mut self) -> Option<String> {
        let Some(TokenTree::Ident(ident)) = self.peek() else { return None };
        let name = plain(ident);
        self.next();
        Some(name)
    }

    fn is_separator(&self) -> bool {
        let is_colon = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':');
        matches!(self.0.as_slice(), [.., second, first] if is_colon(first) && is_colon(second))
    }

    fn skip_group(&mut self, delimiter: Delimiter) {
        if matches!(self.peek(), Some(TokenTree::Group(group)) if group.delimiter() == delimiter) {
            self.next();
        }
    }

    /// Passes over the name of a method or a field after its dot, but not over the end of a range.
    fn skip_member(&mut self) {
        match self.peek() {
            Some(TokenTree::Punct(punct)) if punct.as_char() == '.' => {
                self.next();
            }
            Some(TokenTree::Ident(_)) => {
                self.next();
            }
            _ => {}
        }
    }

    /// Whether the attribute that follows keeps an item for tests.
    fn next_is_for_tests(&self) -> bool {
        let Some(TokenTree::Group(group)) = self.peek() else { return false };
        let text = group.stream().to_string().replace(' ', "");
        text == "cfg(test)" || text == "cfg(doctest)"
    }

    /// Passes over the rest of an item: up to its semicolon or its braces.
    fn skip_item(&mut self) {
        while let Some(token) = self.next() {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ';' => return,
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return,
                _ => {}
            }
        }
    }
}

fn plain(ident: &Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map_or_else(|| text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(source: &str) -> Vec<String> {
        let module = read(source).unwrap();
        let imports = module.imports.iter().map(|import| &import.path);
        let mentions = module.mentions.iter().map(|mention| &mention.path);
        imports.chain(mentions).map(|path| path.join("::")).collect()
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
