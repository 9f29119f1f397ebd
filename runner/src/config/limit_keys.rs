//! The limits as they are written: the keys, each with its unit in its name,
//! what it is where nobody says, the highest that may be allowed, and the least
//! that makes sense. What a limit means is in `sandbox::Limits`, and for
//! operators in `conf/config.yaml`. Must not know which values go together.

use serde::Deserialize;

/// Limits of one plugin. A row of the table below gives one of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) key: &'static str,
    pub(super) least: u32,
    pub(super) value: u32,
    pub(super) ceiling: u32,
}

/// `share` of `all` of it, and at least one.
fn part(whole: u32, share: u32, all: u32) -> u32 {
    let part = u64::from(whole) * u64::from(share) / u64::from(all.max(1));
    // Not more than the whole, which fits.
    (part as u32).max(whole.min(1))
}

macro_rules! limit_keys {
    (
        each plugin {
            $( $key:ident = $default:literal, from $least:literal to $ceiling:literal; )+
        }
        each tenant { $( $(#[$tenant_doc:meta])+ $tenant:ident = $tenant_default:literal; )+ }
        all together { $( $(#[$doc:meta])+ $global:ident = $global_default:literal; )+ }
    ) => {
        /// `limits`: those of each plugin that says nothing else, those of each
        /// tenant, and what all tenants have together.
        #[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields, default, expecting = "a mapping of limits to numbers")]
        #[allow(missing_docs)]
        pub struct RawLimits {
            $( pub $key: u32, )+
            $( $(#[$tenant_doc])+ pub $tenant: u32, )+
            $( $(#[$doc])+ pub $global: u32, )+
        }

        impl Default for RawLimits {
            fn default() -> Self {
                RawLimits {
                    $( $key: $default, )+
                    $( $tenant: $tenant_default, )+
                    $( $global: $global_default, )+
                }
            }
        }

        /// `ceilings`: what no plugin may be given more of.
        #[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields, default, expecting = "a mapping of limits to numbers")]
        #[allow(missing_docs)]
        pub struct RawCeilings {
            $( pub $key: u32, )+
        }

        impl Default for RawCeilings {
            fn default() -> Self {
                RawCeilings { $( $key: $ceiling, )+ }
            }
        }

        /// `tenants.N.limits`.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields, default, expecting = "a mapping of limits to numbers")]
        #[allow(missing_docs)]
        pub struct RawTenantLimits {
            $( pub $key: Option<u32>, )+
            $( pub $tenant: Option<u32>, )+
            $( pub $global: Option<u32>, )+
        }

        /// `plugins.NAME.limits`, and `tenants.N.ceilings`.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields, default, expecting = "a mapping of limits to numbers")]
        #[allow(missing_docs)]
        pub struct RawPluginLimits {
            $( pub $key: Option<u32>, )+
        }

        impl RawLimits {
            /// What holds for a plugin that says this of its own.
            pub(super) fn with(&self, own: &RawPluginLimits) -> Self {
                RawLimits {
                    $( $key: own.$key.unwrap_or(self.$key), )+
                    $( $tenant: self.$tenant, )+
                    $( $global: self.$global, )+
                }
            }

            /// What holds for a tenant that says this of its own. What it does
            /// not say of what all have together is its part, `share` of `all`.
            pub(super) fn of_tenant(&self, own: &RawTenantLimits, share: u32, all: u32) -> Self {
                RawLimits {
                    $( $key: own.$key.unwrap_or(self.$key), )+
                    $( $tenant: own.$tenant.unwrap_or(self.$tenant), )+
                    $( $global: own.$global.unwrap_or_else(|| part(self.$global, share, all)), )+
                }
            }

            /// What all tenants have together, by name.
            pub(super) fn together(&self) -> Vec<(&'static str, u32)> {
                vec![ $( (stringify!($global), self.$global), )+ ]
            }

            /// The limits of each plugin, beside their ceilings.
            pub(super) fn rows(&self, ceilings: &RawCeilings) -> Vec<Row> {
                vec![ $( Row {
                    key: stringify!($key),
                    least: $least,
                    value: self.$key,
                    ceiling: ceilings.$key,
                }, )+ ]
            }
        }

        impl RawCeilings {
            /// What holds within a tenant that says this of its own.
            pub(super) fn with(&self, own: &RawPluginLimits) -> Self {
                RawCeilings { $( $key: own.$key.unwrap_or(self.$key), )+ }
            }

            /// Each by name.
            pub(super) fn by_name(&self) -> Vec<(&'static str, u32)> {
                vec![ $( (stringify!($key), self.$key), )+ ]
            }
        }

        #[cfg(test)]
        pub(super) const EACH_PLUGINS: &[&str] = &[ $( stringify!($key), )+ ];
        #[cfg(test)]
        pub(super) const ALL_TOGETHER: &[&str] =
            &[ $( stringify!($tenant), )+ $( stringify!($global), )+ ];
    };
}

limit_keys! {
    each plugin {
        handler_ms = 50, from 1 to 10_000;
        handler_wall_ms = 1_000, from 1 to 50_000;
        configure_ms = 1_000, from 1 to 30_000;
        configure_wall_ms = 2_000, from 1 to 55_000;
        gateway_ms = 55_000, from 1 to 57_000;
        questions = 64, from 0 to 10_000;
        services_ms = 5_000, from 1 to 50_000;
        service_calls = 32, from 0 to 10_000;
        memory_mib = 64, from 1 to 1_024;
        table_elements = 100_000, from 1 to 640_000;
        handles = 1_024, from 1 to 65_536;
        host_call_mib = 20, from 1 to 64;
        body_kib = 16_384, from 1 to 16_384;
        headers = 1_000, from 1 to 10_000;
        header_kib = 64, from 1 to 16_384;
        log_kib = 64, from 0 to 16_384;
        log_kib_per_s = 1_024, from 0 to 65_536;
        concurrent_calls = 500, from 1 to 100_000;
        waiting_calls = 1_000, from 0 to 100_000;
        wait_ms = 1_000, from 0 to 10_000;
    }

    each tenant {
        /// Waiting for a plugin that is still being prepared, ms.
        prepare_ms = 10_000;
        /// Modules that are loaded.
        modules = 1_000;
        /// The largest module that is loaded, MiB.
        module_mib = 64;
        /// How long compiling one component may take, s.
        compile_s = 60;
        /// Memory of a compiler, MiB.
        compile_mib = 2_048;
        /// Key-value storage, MiB.
        key_value_mib = 16;
    }

    all together {
        /// Instances at the same time.
        instances = 1_000;
        /// Connections at the same time.
        connections = 4_096;
        /// Memory of all instances together, MiB.
        guest_memory_mib = 4_096;
        /// Memory for configurations, MiB.
        configurations_mib = 64;
        /// Memory for snapshots of configured instances, MiB.
        snapshots_mib = 64;
    }
}
