//! What the planner may do and what it believes things cost.

use super::aliases::ON_OFF;
use super::settings;
use crate::config::definition::{Choice, Definition, Key, MAX_INT, choice, int, real, switch};
use crate::config::units::Unit;

settings! {
    file planner;
    section "Query Tuning / Genetic Query Optimizer" {
        GEQO: bool = switch("geqo", true).explain(),
            "Enables genetic query optimization.",
            "This algorithm attempts to do planning without exhaustive searching.";
        GEQO_EFFORT: i64 = int("geqo_effort", 5, 1, 10).explain(),
            "GEQO: effort is used to set the default for other GEQO parameters.";
        GEQO_GENERATIONS: i64 = int("geqo_generations", 0, 0, MAX_INT).explain(),
            "GEQO: number of iterations of the algorithm.",
            "0 means use a suitable default value.";
        GEQO_POOL_SIZE: i64 = int("geqo_pool_size", 0, 0, MAX_INT).explain(),
            "GEQO: number of individuals in the population.",
            "0 means use a suitable default value.";
        GEQO_SEED: f64 = real("geqo_seed", 0.0, 0.0, 1.0).explain(),
            "GEQO: seed for random path selection.";
        GEQO_SELECTION_BIAS: f64 = real("geqo_selection_bias", 2.0, 1.5, 2.0).explain(),
            "GEQO: selective pressure within the population.";
        GEQO_THRESHOLD: i64 = int("geqo_threshold", 12, 2, MAX_INT).explain(),
            "Sets the threshold of FROM items beyond which GEQO is used.";
    }
    section "Query Tuning / Other Planner Options" {
        CONSTRAINT_EXCLUSION: Choice = choice("constraint_exclusion", "partition", &["partition", "on", "off"])
            .aliases(ON_OFF).explain(),
            "Enables the planner to use constraints to optimize queries.",
            "Table scans will be skipped if their constraints guarantee that no rows match the query.";
        CURSOR_TUPLE_FRACTION: f64 = real("cursor_tuple_fraction", 0.1, 0.0, 1.0).explain(),
            "Sets the planner's estimate of the fraction of a cursor's rows that will be retrieved.";
        DEFAULT_STATISTICS_TARGET: i64 = int("default_statistics_target", 100, 1, 10_000),
            "Sets the default statistics target.",
            "This applies to table columns that have not had a column-specific target set via ALTER TABLE SET \
             STATISTICS.";
        FROM_COLLAPSE_LIMIT: i64 = int("from_collapse_limit", 8, 1, MAX_INT).explain(),
            "Sets the FROM-list size beyond which subqueries are not collapsed.",
            "The planner will merge subqueries into upper queries if the resulting FROM list would have no \
             more than this many items.";
        JIT: bool = switch("jit", true).explain(),
            "Allow JIT compilation.";
        JOIN_COLLAPSE_LIMIT: i64 = int("join_collapse_limit", 8, 1, MAX_INT).explain(),
            "Sets the FROM-list size beyond which JOIN constructs are not flattened.",
            "The planner will flatten explicit JOIN constructs into lists of FROM items whenever a list of no \
             more than this many items would result.";
        PLAN_CACHE_MODE: Choice = choice("plan_cache_mode", "auto", &["auto", "force_generic_plan", "force_custom_plan"])
            .explain(),
            "Controls the planner's selection of custom or generic plan.",
            "Prepared statements can have custom and generic plans, and the planner will attempt to choose \
             which is better.  This can be set to override the default behavior.";
        RECURSIVE_WORKTABLE_FACTOR: f64 = real("recursive_worktable_factor", 10.0, 0.001, 1000000.0).explain(),
            "Sets the planner's estimate of the average size of a recursive query's working table.";
    }
    section "Query Tuning / Planner Cost Constants" {
        CPU_INDEX_TUPLE_COST: f64 = real("cpu_index_tuple_cost", 0.005, 0.0, f64::MAX).explain(),
            "Sets the planner's estimate of the cost of processing each index entry during an index scan.";
        CPU_OPERATOR_COST: f64 = real("cpu_operator_cost", 0.0025, 0.0, f64::MAX).explain(),
            "Sets the planner's estimate of the cost of processing each operator or function call.";
        CPU_TUPLE_COST: f64 = real("cpu_tuple_cost", 0.01, 0.0, f64::MAX).explain(),
            "Sets the planner's estimate of the cost of processing each tuple (row).";
        EFFECTIVE_CACHE_SIZE: i64 = int("effective_cache_size", 524_288, 1, MAX_INT).unit(Unit::Pages)
            .explain(),
            "Sets the planner's assumption about the total size of the data caches.",
            "That is, the total size of the caches (kernel cache and shared buffers) used for PostgreSQL data \
             files. This is measured in disk pages, which are normally 8 kB each.";
        JIT_ABOVE_COST: f64 = real("jit_above_cost", 100000.0, -1.0, f64::MAX).explain(),
            "Perform JIT compilation if query is more expensive.",
            "-1 disables JIT compilation.";
        JIT_INLINE_ABOVE_COST: f64 = real("jit_inline_above_cost", 500000.0, -1.0, f64::MAX).explain(),
            "Perform JIT inlining if query is more expensive.",
            "-1 disables inlining.";
        JIT_OPTIMIZE_ABOVE_COST: f64 = real("jit_optimize_above_cost", 500000.0, -1.0, f64::MAX).explain(),
            "Optimize JIT-compiled functions if query is more expensive.",
            "-1 disables optimization.";
        MIN_PARALLEL_INDEX_SCAN_SIZE: i64 = int("min_parallel_index_scan_size", 64, 0, 715_827_882)
            .unit(Unit::Pages).explain(),
            "Sets the minimum amount of index data for a parallel scan.",
            "If the planner estimates that it will read a number of index pages too small to reach this limit, \
             a parallel scan will not be considered.";
        MIN_PARALLEL_TABLE_SCAN_SIZE: i64 = int("min_parallel_table_scan_size", 1024, 0, 715_827_882)
            .unit(Unit::Pages).explain(),
            "Sets the minimum amount of table data for a parallel scan.",
            "If the planner estimates that it will read a number of table pages too small to reach this limit, \
             a parallel scan will not be considered.";
        PARALLEL_SETUP_COST: f64 = real("parallel_setup_cost", 1000.0, 0.0, f64::MAX).explain(),
            "Sets the planner's estimate of the cost of starting up worker processes for parallel query.";
        PARALLEL_TUPLE_COST: f64 = real("parallel_tuple_cost", 0.1, 0.0, f64::MAX).explain(),
            "Sets the planner's estimate of the cost of passing each tuple (row) from worker to leader backend.";
        RANDOM_PAGE_COST: f64 = real("random_page_cost", 4.0, 0.0, f64::MAX).explain(),
            "Sets the planner's estimate of the cost of a nonsequentially fetched disk page.";
        SEQ_PAGE_COST: f64 = real("seq_page_cost", 1.0, 0.0, f64::MAX).explain(),
            "Sets the planner's estimate of the cost of a sequentially fetched disk page.";
    }
    section "Query Tuning / Planner Method Configuration" {
        ENABLE_ASYNC_APPEND: bool = switch("enable_async_append", true).explain(),
            "Enables the planner's use of async append plans.";
        ENABLE_BITMAPSCAN: bool = switch("enable_bitmapscan", true).explain(),
            "Enables the planner's use of bitmap-scan plans.";
        ENABLE_DISTINCT_REORDERING: bool = switch("enable_distinct_reordering", true).explain(),
            "Enables reordering of DISTINCT keys.";
        ENABLE_GATHERMERGE: bool = switch("enable_gathermerge", true).explain(),
            "Enables the planner's use of gather merge plans.";
        ENABLE_GROUP_BY_REORDERING: bool = switch("enable_group_by_reordering", true).explain(),
            "Enables reordering of GROUP BY keys.";
        ENABLE_HASHAGG: bool = switch("enable_hashagg", true).explain(),
            "Enables the planner's use of hashed aggregation plans.";
        ENABLE_HASHJOIN: bool = switch("enable_hashjoin", true).explain(),
            "Enables the planner's use of hash join plans.";
        ENABLE_INCREMENTAL_SORT: bool = switch("enable_incremental_sort", true).explain(),
            "Enables the planner's use of incremental sort steps.";
        ENABLE_INDEXONLYSCAN: bool = switch("enable_indexonlyscan", true).explain(),
            "Enables the planner's use of index-only-scan plans.";
        ENABLE_INDEXSCAN: bool = switch("enable_indexscan", true).explain(),
            "Enables the planner's use of index-scan plans.";
        ENABLE_MATERIAL: bool = switch("enable_material", true).explain(),
            "Enables the planner's use of materialization.";
        ENABLE_MEMOIZE: bool = switch("enable_memoize", true).explain(),
            "Enables the planner's use of memoization.";
        ENABLE_MERGEJOIN: bool = switch("enable_mergejoin", true).explain(),
            "Enables the planner's use of merge join plans.";
        ENABLE_NESTLOOP: bool = switch("enable_nestloop", true).explain(),
            "Enables the planner's use of nested-loop join plans.";
        ENABLE_PARALLEL_APPEND: bool = switch("enable_parallel_append", true).explain(),
            "Enables the planner's use of parallel append plans.";
        ENABLE_PARALLEL_HASH: bool = switch("enable_parallel_hash", true).explain(),
            "Enables the planner's use of parallel hash plans.";
        ENABLE_PARTITION_PRUNING: bool = switch("enable_partition_pruning", true).explain(),
            "Enables plan-time and execution-time partition pruning.",
            "Allows the query planner and executor to compare partition bounds to conditions in the query to \
             determine which partitions must be scanned.";
        ENABLE_PARTITIONWISE_AGGREGATE: bool = switch("enable_partitionwise_aggregate", false).explain(),
            "Enables partitionwise aggregation and grouping.";
        ENABLE_PARTITIONWISE_JOIN: bool = switch("enable_partitionwise_join", false).explain(),
            "Enables partitionwise join.";
        ENABLE_PRESORTED_AGGREGATE: bool = switch("enable_presorted_aggregate", true).explain(),
            "Enables the planner's ability to produce plans that provide presorted input for ORDER BY / \
             DISTINCT aggregate functions.",
            "Allows the query planner to build plans that provide presorted input for aggregate functions with \
             an ORDER BY / DISTINCT clause.  When disabled, implicit sorts are always performed during \
             execution.";
        ENABLE_SELF_JOIN_ELIMINATION: bool = switch("enable_self_join_elimination", true).explain(),
            "Enables removal of unique self-joins.";
        ENABLE_SEQSCAN: bool = switch("enable_seqscan", true).explain(),
            "Enables the planner's use of sequential-scan plans.";
        ENABLE_SORT: bool = switch("enable_sort", true).explain(),
            "Enables the planner's use of explicit sort steps.";
        ENABLE_TIDSCAN: bool = switch("enable_tidscan", true).explain(),
            "Enables the planner's use of TID scan plans.";
    }
}
