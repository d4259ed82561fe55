//! The modules of one crate, and which file uses which.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::source::{self, Import};
use crate::command::Error;

/// From a file that uses another to the file that is used: the names it uses.
pub(super) type Uses = BTreeMap<(PathBuf, PathBuf), BTreeSet<String>>;

/// The files of a crate, from its root on, all named relative to one folder.
pub(super) struct Tree<'f> {
    folder: &'f Path,
    modules: Vec<Module>,
}

struct Module {
    file: PathBuf,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    source: source::Module,
}

/// What a path leads to.
#[derive(Clone, Copy)]
enum Place {
    Module(usize),
    /// Something that this module defines.
    Item(usize),
}

impl<'f> Tree<'f> {
    /// Reads the crate whose root is this file in `folder`.
    pub(super) fn read(folder: &'f Path, root: &Path) -> Result<Self, Error> {
        let mut tree = Self { folder, modules: Vec::new() };
        let source = tree.source(root)?;
        tree.add(root, root.parent().unwrap_or(Path::new("")), None, source)?;
        Ok(tree)
    }

    fn source(&self, file: &Path) -> Result<source::Module, Error> {
        let path = self.folder.join(file);
        let text =
            fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Ok(source::read(&text).map_err(|error| format!("cannot read {}: {error}", path.display()))?)
    }

    /// Adds a module and those in it, whose files lie in `folder`.
    fn add(
        &mut self,
        file: &Path,
        folder: &Path,
        parent: Option<usize>,
        mut source: source::Module,
    ) -> Result<usize, Error> {
        let mut inside = Vec::new();
        for name in std::mem::take(&mut source.files) {
            let (flat, nested) = (folder.join(format!("{name}.rs")), folder.join(&name).join("mod.rs"));
            let file = if self.folder.join(&flat).is_file() { flat } else { nested };
            let source = self.source(&file)?;
            inside.push((name, file, source));
        }
        for (name, source) in std::mem::take(&mut source.inline) {
            inside.push((name, file.to_path_buf(), source));
        }
        let module = self.modules.len();
        self.modules.push(Module { file: file.to_path_buf(), parent, children: BTreeMap::new(), source });
        for (name, file, source) in inside {
            let child = self.add(&file, &folder.join(&name), Some(module), source)?;
            self.modules[module].children.insert(name, child);
        }
        Ok(module)
    }

    /// Which file uses which other, and what of it.
    pub(super) fn uses(&self) -> Uses {
        let mut uses = Uses::new();
        for (index, module) in self.modules.iter().enumerate() {
            for import in &module.source.imports {
                // What is only handed on is not used here. A module counts by what is used through it.
                if import.is_public
                    && !import.name.as_ref().is_some_and(|name| module.source.words.contains(name))
                {
                    continue;
                }
                let is_glob = import.name.is_none();
                match self.resolve(index, &import.path, &mut Vec::new()) {
                    Some(Place::Module(_)) if !is_glob => {}
                    place => self.note(&mut uses, index, place, &import.path),
                }
            }
            for mention in &module.source.mentions {
                let place = self.resolve(index, mention, &mut Vec::new());
                self.note(&mut uses, index, place, mention);
            }
        }
        uses
    }

    fn note(&self, uses: &mut Uses, from: usize, to: Option<Place>, path: &[String]) {
        let Some(Place::Module(to) | Place::Item(to)) = to else { return };
        let (from, to) = (&self.modules[from].file, &self.modules[to].file);
        if from != to {
            uses.entry((from.clone(), to.clone())).or_default().extend(path.last().cloned());
        }
    }

    /// What a path that stands in a module leads to; none where that is outside the crate. `seen` are the imports on
    /// the way, so that two which name each other end.
    fn resolve<'a>(&'a self, module: usize, path: &'a [String], seen: &mut Vec<&'a Import>) -> Option<Place> {
        let (first, rest) = path.split_first()?;
        let mut place = match first.as_str() {
            "crate" => Place::Module(self.root(module)),
            "self" => Place::Module(module),
            "super" => Place::Module(self.modules[module].parent?),
            name => self.find(module, name, seen)?,
        };
        for segment in rest {
            let Place::Module(inside) = place else { break };
            place = match segment.as_str() {
                "super" => Place::Module(self.modules[inside].parent?),
                "self" => place,
                name => self.find(inside, name, seen).unwrap_or(Place::Item(inside)),
            };
        }
        Some(place)
    }

    fn root(&self, mut module: usize) -> usize {
        while let Some(parent) = self.modules[module].parent {
            module = parent;
        }
        module
    }

    /// What a name means in a module; none where that is outside the crate, or nothing this reader sees.
    fn find<'a>(&'a self, module: usize, name: &str, seen: &mut Vec<&'a Import>) -> Option<Place> {
        let Module { children, source, .. } = &self.modules[module];
        if let Some(child) = children.get(name) {
            return Some(Place::Module(*child));
        }
        let Some(import) = source.imports.iter().find(|import| import.name.as_deref() == Some(name)) else {
            return source.items.contains(name).then_some(Place::Item(module));
        };
        if seen.iter().any(|before| std::ptr::eq(*before, import)) {
            return None;
        }
        seen.push(import);
        self.resolve(module, &import.path, seen)
    }
}

/// Whether a file's module is inside the module of another.
pub(super) fn is_below(file: &Path, other: &Path) -> bool {
    let (inner, outer) = (module_path(file), module_path(other));
    inner != outer && inner.starts_with(outer)
}

/// The folder of a module's children; the crate's for its root.
fn module_path(file: &Path) -> PathBuf {
    let folder = file.parent().unwrap_or(Path::new(""));
    match file.file_stem() {
        Some(stem) if stem == "mod" => folder.to_path_buf(),
        Some(stem) if folder == Path::new("") && (stem == "lib" || stem == "main") => PathBuf::new(),
        Some(stem) => folder.join(stem),
        None => folder.to_path_buf(),
    }
}

/// The roots of the crates in a package's `src`: its library and its programs.
pub(super) fn roots(source_folder: &Path) -> Result<BTreeSet<PathBuf>, Error> {
    let mut roots = BTreeSet::from(["lib.rs", "main.rs"].map(PathBuf::from));
    if let Ok(programs) = fs::read_dir(source_folder.join("bin")) {
        for program in programs {
            roots.insert(Path::new("bin").join(program?.file_name()));
        }
    }
    roots.retain(|root| source_folder.join(root).is_file());
    Ok(roots)
}
