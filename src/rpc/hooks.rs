//! Hooks: functions of the program that see each message, and calls that they pause.
//!
//! A server's side and a pool both begin with [`Hooked`], so that the program's pointer to either
//! can be used alike.

use super::abi::HookFn;
use super::meta::{ConnectionOfFn, Context};
use crate::buffer::Evbuffer;
use crate::hooks::memory::{self, OutOfMemory};
use crate::http::abi::EvhttpRequest;
use crate::list::{TailLink, TailQueue, links};
use crate::warning;
use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_int, c_void};
use std::ops::Deref;
use std::ptr::{self, NonNull, addr_of_mut};

/// Which way a message goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To this side.
    In = 0,
    /// From this side.
    Out = 1,
}

impl Way {
    /// The way of a number of `enum EVRPC_HOOK_TYPE`.
    pub fn from_number(number: u32) -> Option<Way> {
        match number {
            0 => Some(Way::In),
            1 => Some(Way::Out),
            _ => None,
        }
    }
}

/// What hooks decide.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The call goes on.
    Continue,
    /// It ends here.
    Terminate,
    /// It waits until the program resumes it.
    Pause,
}

impl Verdict {
    /// The verdict of a number of `enum EVRPC_HOOK_RESULT`. Others end the call.
    pub fn from_number(number: c_int) -> Verdict {
        match number {
            0 => Verdict::Continue,
            1 => Verdict::Pause,
            -1 => Verdict::Terminate,
            _ => {
                warning!("evrpc: a hook returned {number}, which ends the call");
                Verdict::Terminate
            }
        }
    }
}

/// A function of the program in a chain.
pub struct Hook {
    link: TailLink<Hook>,
    function: HookFn,
    argument: *mut c_void,
    /// The program has removed it; it is freed when no walk along the chain is left.
    removed: Cell<bool>,
}

links! {
    /// The links of a chain.
    pub struct HookLinks: TailLink<Hook> in link;
}
type Chain = TailQueue<HookLinks>;

/// The part of a call that is linked into the list of paused calls.
pub struct Paused {
    link: TailLink<Paused>,
    context: *mut c_void,
    list: *mut Hooked,
}

links! {
    /// The links of paused calls.
    pub struct PausedLinks: TailLink<Paused> in link;
}
type PausedList = TailQueue<PausedLinks>;

/// Continues a paused call, which is in no list any more.
pub type ResumeFn = unsafe fn(context: *mut c_void, verdict: Verdict);

/// What a server's side and a pool begin with: each is one block of [`memory`].
#[repr(C)]
pub struct Hooked {
    chains: [UnsafeCell<Chain>; 2],
    paused: UnsafeCell<PausedList>,
    resume: ResumeFn,
    /// The number of walks along a chain at the moment.
    walks: Cell<u32>,
    /// One is the program's until it frees the object, and each [`Pin`] has one.
    references: Cell<u32>,
    ended: Cell<bool>,
}

/// A server's side or a pool that is live, or pinned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HookedPtr(NonNull<Hooked>);

impl Deref for HookedPtr {
    type Target = Hooked;
    fn deref(&self) -> &Hooked {
        // SAFETY: `new` promised a live object, and what changes in it is in cells.
        unsafe { self.0.as_ref() }
    }
}

/// Keeps the memory of a server's side or a pool while functions of the program run.
pub struct Pin(HookedPtr);

impl Pin {
    /// Whether the program has freed the object.
    pub fn is_ended(&self) -> bool {
        self.0.ended.get()
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// A walk along a chain, during which no element is freed.
struct Walk(HookedPtr);

impl Drop for Walk {
    fn drop(&mut self) {
        self.0.walks.set(self.0.walks.get() - 1);
        self.0.free_removed();
    }
}

impl Hooked {
    /// Makes the beginning of a new object.
    ///
    /// # Safety
    /// `place` is the beginning of a new block and does not move.
    pub unsafe fn initialise(place: *mut Hooked, resume: ResumeFn) {
        // SAFETY: the caller guarantees the place.
        unsafe {
            Chain::initialise((*place).chains[0].get());
            Chain::initialise((*place).chains[1].get());
            PausedList::initialise((*place).paused.get());
            addr_of_mut!((*place).resume).write(resume);
            addr_of_mut!((*place).walks).write(Cell::new(0));
            addr_of_mut!((*place).references).write(Cell::new(1));
            addr_of_mut!((*place).ended).write(Cell::new(false));
        }
    }
}

impl HookedPtr {
    /// `None` for null.
    ///
    /// # Safety
    /// The object stays live, or pinned, for as long as the pointer, or a copy of it, is used.
    pub unsafe fn new(hooked: *mut Hooked) -> Option<HookedPtr> {
        NonNull::new(hooked).map(HookedPtr)
    }

    /// Keeps the memory for as long as the result lives.
    pub fn pin(self) -> Pin {
        self.references.set(self.references.get() + 1);
        Pin(self)
    }

    fn release(self) {
        self.references.set(self.references.get() - 1);
        if self.references.get() == 0 {
            // SAFETY: nobody has the object any more, whose block begins here.
            unsafe { memory::free(self.0.as_ptr().cast()) };
        }
    }

    /// The program frees the object: its hooks go, and its memory as soon as nobody has it pinned.
    pub fn end(self) {
        self.ended.set(true);
        for way in [Way::In, Way::Out] {
            // SAFETY: elements of a chain are live, and stay while one is looked for.
            unsafe {
                let mut hook = Chain::first(self.chain(way));
                while !hook.is_null() {
                    (*hook).removed.set(true);
                    hook = Chain::next(hook);
                }
            }
        }
        self.free_removed();
        self.release();
    }

    fn chain(self, way: Way) -> *mut Chain {
        self.chains[way as usize].get()
    }

    /// Puts a function at the end of a chain. Returns its handle.
    pub fn add_hook(
        self,
        way: Way,
        function: HookFn,
        argument: *mut c_void,
    ) -> Result<*mut Hook, OutOfMemory> {
        let hook = NonNull::new(memory::malloc(size_of::<Hook>()).cast::<Hook>());
        let hook = hook.ok_or(OutOfMemory)?.as_ptr();
        // SAFETY: the block is new, and stays until it is removed.
        unsafe {
            hook.write(Hook {
                link: TailLink {
                    tqe_next: ptr::null_mut(),
                    tqe_prev: ptr::null_mut(),
                },
                function,
                argument,
                removed: Cell::new(false),
            });
            Chain::push_back(self.chain(way), hook);
        }
        Ok(hook)
    }

    /// Takes a function out of a chain. Returns whether it was there.
    pub fn remove_hook(self, way: Way, handle: *mut c_void) -> bool {
        // SAFETY: elements of a chain are live.
        unsafe {
            let mut hook = Chain::first(self.chain(way));
            while !hook.is_null() {
                if hook.cast() == handle && !(*hook).removed.replace(true) {
                    self.free_removed();
                    return true;
                }
                hook = Chain::next(hook);
            }
        }
        false
    }

    fn free_removed(self) {
        if self.walks.get() > 0 {
            return;
        }
        for way in [Way::In, Way::Out] {
            // SAFETY: elements of a chain are live, and nobody goes along it.
            unsafe {
                let mut hook = Chain::first(self.chain(way));
                while !hook.is_null() {
                    let next = Chain::next(hook);
                    if (*hook).removed.get() {
                        Chain::remove(self.chain(way), hook);
                        memory::free(hook.cast());
                    }
                    hook = next;
                }
            }
        }
    }

    /// Shows a call to the functions of a chain, up to the first that does not let it go on.
    ///
    /// # Safety
    /// The object is pinned. `context` is a live call that begins with a [`Context`]; the request
    /// and the buffer are its own.
    pub unsafe fn run_hooks(
        self,
        way: Way,
        context: *mut c_void,
        connection_of: ConnectionOfFn,
        http: *mut EvhttpRequest,
        buffer: *mut Evbuffer,
    ) -> Verdict {
        // SAFETY: the caller guarantees the call.
        let known = |context: *mut c_void| unsafe {
            (*context.cast::<Context>()).provide_connection(connection_of)
        };
        // SAFETY: the chain is initialised.
        let mut hook = unsafe { Chain::first(self.chain(way)) };
        if hook.is_null() {
            return Verdict::Continue;
        }
        if known(context).is_err() {
            return Verdict::Terminate;
        }
        self.walks.set(self.walks.get() + 1);
        let _walk = Walk(self);
        while !hook.is_null() {
            // SAFETY: elements stay while somebody goes along the chain; the program added this
            // one to be called like this.
            unsafe {
                if !(*hook).removed.get() {
                    let (function, argument) = ((*hook).function, (*hook).argument);
                    let verdict = function(context, http, buffer, argument);
                    let verdict = Verdict::from_number(verdict);
                    if verdict != Verdict::Continue {
                        return verdict;
                    }
                }
                hook = Chain::next(hook);
            }
        }
        Verdict::Continue
    }

    /// Lets a call wait until the program resumes it.
    ///
    /// # Safety
    /// The call stays live while it waits; `paused` is a part of it, and it is not waiting.
    pub unsafe fn pause(self, paused: *mut Paused, context: *mut c_void) {
        // SAFETY: the caller guarantees the place.
        unsafe {
            (*paused).context = context;
            (*paused).list = self.0.as_ptr();
            PausedList::push_back(self.paused.get(), paused);
        }
    }

    /// Continues a paused call. Returns whether there was one.
    pub fn resume(self, context: *mut c_void, verdict: Verdict) -> bool {
        // SAFETY: calls in the list are live. The one that goes on is not in it any more.
        unsafe {
            let mut paused = PausedList::first(self.paused.get());
            while !paused.is_null() && (*paused).context != context {
                paused = PausedList::next(paused);
            }
            if paused.is_null() {
                return false;
            }
            Paused::leave(paused);
            (self.resume)((*paused).context, verdict);
        }
        true
    }

    /// Takes out the call that was paused first.
    pub fn take_paused(self) -> Option<*mut c_void> {
        // SAFETY: calls in the list are live.
        unsafe {
            let paused = PausedList::first(self.paused.get());
            if paused.is_null() {
                return None;
            }
            Paused::leave(paused);
            Some((*paused).context)
        }
    }
}

impl Paused {
    /// Takes a call out of the list that it is in, if it is in one.
    ///
    /// # Safety
    /// `paused` is a part of a live call: zero bytes at first.
    pub unsafe fn leave(paused: *mut Paused) {
        // SAFETY: the list exists for as long as calls are in it.
        unsafe {
            let list = (*paused).list;
            if !list.is_null() {
                (*paused).list = ptr::null_mut();
                PausedList::remove((*list).paused.get(), paused);
            }
        }
    }
}
