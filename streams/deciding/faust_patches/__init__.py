"""What Faust 0.15.3 on aiokafka 0.14.0 gets wrong when partitions change hands, one file a patch.

| patch | mends |
|---|---|
| `seek_before_resume` | messages fetched between resuming and seeking are thrown away for good |
| | a recovery whose partitions were revoked goes on, and lets the flow begin again |
| `fetch_of_one_assignment` | what a fetch takes that waits through a rebalance is thrown away |
| `fetch_of_paused_partitions` | paused partitions are fetched from while others are resumed |
| `seek_without_commit` | a partition without a commit stays where it is instead of starting over |
| `queues_of_paused_partitions` | a paused partition wakes up when its queue is empty |
| `pause_until_recovered` | messages are delivered before the table has been loaded |
| `calls_side_by_side` | a rebalance during a recovery waits for ever, and the whole group with it |
| `leave_after_stop` | who stops during a rebalance stays in the group until the session ends |
| `heartbeat_lease` | the app cannot know when the last heartbeat was accepted |
| `fetch_wait` | a message takes up to 1.5 s to arrive from a broker that answers late |
| `unpack_limit` | some kilobytes are unpacked to gigabytes |
| `unreadable_batches` | a batch that cannot be unpacked ends the app, again after each restart |
| `commits_in_order` | a commit passes messages that are not done; gaps take memory |

Most are a subclass that overrides a method; `unpack_limit` and `unreadable_batches` put functions
and a class into aiokafka's modules. `patched` puts them together. They rest on private
attributes, so both libraries are pinned to the release, and `guard` fails this import with one
sentence when another release lacks an attribute. `docs/reliability.md` has what was measured.
"""

from understudy.streams.deciding.faust_patches.guard import check_patched_attributes

check_patched_attributes()
