//! What one guest may touch.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::abi::Result;
use crate::descriptor::{Descriptor, Sink};
use crate::listener::Listener;
use crate::network::{Network, Refusal};
use crate::resolve::{Access, Directory, Origin, RootDirectory};
use crate::table::Table;
use crate::Errno;

/// How the guest asked to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExitRequest {
    /// `proc_exit` with this code.
    Code(u32),
    /// `proc_raise` of a signal that ends a process; the number is Linux'.
    Signal(u8),
}

/// Who is told of the first thing that a guest may not do with the network.
pub type RefusalWatcher = Box<dyn FnMut(&Refusal) + Send>;

/// Everything of one guest that the host functions need.
pub struct Context {
    pub(crate) arguments: Vec<Vec<u8>>,
    pub(crate) environment: Vec<Vec<u8>>,
    pub(crate) table: Table,
    pub(crate) exit: Option<ExitRequest>,
    pub(crate) network: Network,
    refusal_watcher: Option<RefusalWatcher>,
    memory_bytes: u64,
    memory_watcher: Option<Box<dyn FnMut(u64) + Send>>,
}

impl Context {
    /// How the guest asked to end, once it has; the call that ran it then returns a trap that is none.
    pub fn exit_request(&self) -> Option<ExitRequest> {
        self.exit
    }

    /// Tells the watcher, once, that the guest wanted something of the network that it may not have.
    pub(crate) fn refuse(&mut self, refusal: &Refusal) {
        if let Some(mut watcher) = self.refusal_watcher.take() {
            watcher(refusal);
        }
    }

    /// Tells the watcher when the memory has another size than at the last call. The engine says nothing when a
    /// guest grows its memory; a guest that does is soon seen here.
    pub(crate) fn observe_memory(&mut self, bytes: u64) {
        if bytes != self.memory_bytes {
            self.memory_bytes = bytes;
            if let Some(watcher) = &mut self.memory_watcher {
                watcher(bytes);
            }
        }
    }
}

/// Puts a [`Context`] together. The order of calls is the order of descriptors: 0, 1 and 2 first, then sockets,
/// then directories.
pub struct ContextBuilder {
    context: Context,
    root: Option<Arc<RootDirectory>>,
}

impl ContextBuilder {
    /// A guest with standard streams and nothing else. `environment` holds `NAME=VALUE`.
    pub fn new(input: OwnedFd, output: Box<dyn Sink>, error: Box<dyn Sink>) -> ContextBuilder {
        let mut table = Table::default();
        for descriptor in [
            Descriptor::input(input),
            Descriptor::output(output),
            Descriptor::output(error),
        ] {
            // An empty table takes three.
            let _ = table.insert(descriptor);
        }
        let context = Context {
            arguments: Vec::new(),
            environment: Vec::new(),
            table,
            exit: None,
            network: Network::default(),
            refusal_watcher: None,
            memory_bytes: 0,
            memory_watcher: None,
        };
        ContextBuilder { context, root: None }
    }

    /// The guest's argv. Bytes after a NUL would be lost to the guest; there are none in a plan.
    pub fn arguments(mut self, arguments: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.context.arguments = arguments.into_iter().collect();
        self
    }

    /// The guest's environment.
    pub fn environment(mut self, environment: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.context.environment = environment.into_iter().collect();
        self
    }

    /// One port of the guest: listening sockets that are one to it. Where the name is a number, a guest that binds to
    /// that port gets it, too. `network` comes before it.
    pub fn listener(mut self, name: &[u8], sockets: Vec<OwnedFd>) -> Result<Self> {
        let listener = Arc::new(Listener::new(sockets)?);
        self.context.network.publish(name, &listener);
        self.context.table.insert(Descriptor::listener(listener))?;
        Ok(self)
    }

    /// The container's root with all its mounts, and the working directory in it.
    ///
    /// The guests' libraries want different things. Go starts in the first directory it finds, under that
    /// directory's name; it then needs the root. wasi-libc starts in the root always, takes `.` and `/` for the
    /// same, and lets the last one win: `.` comes last, and is looked up as `Directory::choose` says.
    pub fn root(mut self, root: RootDirectory, workdir: &[u8]) -> Result<Self> {
        let root = Arc::new(root);
        self.root = Some(Arc::clone(&root));
        let elsewhere = workdir
            .split(|&byte| byte == b'/')
            .any(|part| !part.is_empty() && part != b".");
        if elsewhere {
            self.preopen(Directory::in_root(&root, workdir, false), workdir)?;
        }
        self.preopen(Directory::in_root(&root, b"/", false), b"/")?;
        if elsewhere {
            self.preopen(Directory::in_root(&root, workdir, true), b".")?;
        }
        Ok(self)
    }

    /// A directory of its own at a guest's path, outside of any root.
    pub fn directory(mut self, name: &[u8], directory: OwnedFd, access: Access) -> Result<Self> {
        self.preopen(Directory::opened(directory, access, Origin::Volume), name)?;
        Ok(self)
    }

    fn preopen(&mut self, directory: Directory, name: &[u8]) -> Result {
        if name.len() > 4096 {
            return Err(Errno::NAMETOOLONG);
        }
        self.context
            .table
            .insert(Descriptor::preopen(directory, name.to_vec()))
            .map(|_| ())
    }

    /// Is told the size of the linear memory when it has changed.
    pub fn memory_watcher(mut self, watcher: Box<dyn FnMut(u64) + Send>) -> Self {
        self.context.memory_watcher = Some(watcher);
        self
    }

    /// What the guest may do with the network, and who is told of the first thing that it may not.
    pub fn network(mut self, network: Network, refusal_watcher: RefusalWatcher) -> Self {
        self.context.network = network;
        self.context.refusal_watcher = Some(refusal_watcher);
        self
    }

    /// The finished context.
    pub fn build(self) -> Context {
        self.context
    }
}
