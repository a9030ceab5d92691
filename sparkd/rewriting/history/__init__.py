"""Rules about the conversation itself: the messages of chat and messages, the items of responses.

An agent sends its whole history with every request. So a turn that an engine or a chat template rejects makes every
later request fail. These rules give each turn a form that is accepted, as long as its meaning survives; `[models.<id>.
rewriting.template]` says what the model's chat template accepts.

conversation, contents    the turns of a body, and the content of a turn
rules             the rules of this package, in the order in which they are applied
documents, tool_images    what engines cannot read, or templates lose
chat_shapes, block_shapes, items (item_parts, reasoning_items, foreign_items)    shapes, by API
arguments (json_repair), calls (call_ids, missing_results)    tool calls and their results
system, empty_turns, alternation, user_turn    who speaks when
"""
