"""The main job, in order: resolve → offers → plan → replay → tighten → plan."""
