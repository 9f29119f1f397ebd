//! Compiled code from which instances are made: a component, linked, with the
//! places of its exports. A plugin has one, and each snapshot of a
//! configuration is another. Knows no configuration.

use wasmtime::component::{Component, ComponentExportIndex, InstancePre};

use crate::bindings::exports::apisix::filter::{configuration, request_handler, response_handler};
use crate::call_state::CallState;
use crate::engine::TABLES_PER_SLOT;
use crate::{Engine, LoadError, imports};

/// What instances are made from.
pub(crate) struct Image {
    pub(crate) component: InstancePre<CallState>,
    pub(crate) configuration: configuration::GuestIndices,
    pub(crate) request_handler: Option<request_handler::GuestIndices>,
    pub(crate) response_handler: Option<response_handler::GuestIndices>,
    /// How many of the engine's slots one instance takes.
    pub(crate) slots: u32,
    /// What puts an instance back to how it began, where we added that.
    pub(crate) restore: Option<ComponentExportIndex>,
}

impl Image {
    /// Links a component, or says in its author's terms why it does not fit.
    pub(crate) fn link(engine: &Engine, component: &Component) -> Result<Self, LoadError> {
        let slots = slots(component)?;
        let linker = engine.linker(imports::surroundings(component));
        let mismatch = |error: wasmtime::Error| LoadError::Mismatch(format!("{error:#}"));
        let pre = linker.instantiate_pre(component).map_err(mismatch)?;
        // Without it, the first call would pay for the memory image.
        component
            .initialize_copy_on_write_image()
            .map_err(|error| LoadError::Invalid(format!("{error:#}")))?;
        let configuration = configuration::GuestIndices::new(&pre);
        let request_handler = request_handler::GuestIndices::new(&pre).ok();
        let response_handler = response_handler::GuestIndices::new(&pre).ok();
        match configuration {
            Ok(configuration) if request_handler.is_some() || response_handler.is_some() => {
                Ok(Image {
                    component: pre,
                    configuration,
                    request_handler,
                    response_handler,
                    slots,
                    restore: None,
                })
            }
            _ => Err(LoadError::NotAFilter {
                found: exports(component),
            }),
        }
    }
}

/// A slot has one memory and [`TABLES_PER_SLOT`] tables; a component with more
/// of them takes several, so that the pool never runs out before the slots do.
fn slots(component: &Component) -> Result<u32, LoadError> {
    let Some(needs) = component.resources_required() else {
        let text = "it imports modules, so what it needs is not known".into();
        return Err(LoadError::TooLarge(text));
    };
    Ok(needs
        .num_memories
        .max(needs.num_tables.div_ceil(TABLES_PER_SLOT))
        .max(1))
}

fn exports(component: &Component) -> String {
    let ty = component.component_type();
    let names: Vec<&str> = ty
        .exports(component.engine())
        .map(|(name, _)| name)
        .collect();
    if names.is_empty() {
        "nothing".into()
    } else {
        names.join(", ")
    }
}
