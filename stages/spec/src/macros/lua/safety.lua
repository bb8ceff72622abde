-- What is taken from every script before it runs; the rest of what it may use comes when it asks for it.
local compile, check_time, words, more, check_list = ...
math.randomseed(0)

-- Binary chunks can break the interpreter: text only.
function load(chunk, name, _, environment)
    if type(chunk) == "function" then
        local parts = {}
        for part in chunk do
            if part == "" then break end
            parts[#parts + 1] = part
        end
        chunk = table.concat(parts)
    end
    local made, why = compile(chunk, name, environment)
    if made then return made end
    return nil, why
end
string.dump = nil
collectgarbage = function() return 0 end

-- Nothing may go on for ever where no instruction is counted, and nobody may catch the error that ends a script.
local function after(ok, ...)
    check_time()
    if ok then return true, ... end
    return false, words(...)
end
local pcall_, setmetatable_, rep = pcall, setmetatable, string.rep
local rpm, is_complete = rpm, false
local function complete()
    if is_complete then return end
    is_complete = true
    setmetatable_(_G, nil)
    setmetatable_(rpm, nil)
    more()
end
function pcall(...) return after(pcall_(...)) end
-- A handler that is called where the error is runs without anybody counting: this one is called behind it.
local function handled(handler, ok, ...)
    if ok then return true, ... end
    return false, handler(...)
end
function xpcall(called, handler, ...) return handled(handler, pcall(called, ...)) end
function setmetatable(table_, meta)
    if type(meta) == "table" and rawget(meta, "__gc") ~= nil then
        error("finalizers are not allowed while a SPEC is read", 2)
    end
    if table_ == _G or table_ == rpm then complete() end
    return setmetatable_(table_, meta)
end
function string.rep(text, count, between)
    if text == "" and (between == nil or between == "") then return "" end
    return rep(text, count, between)
end
local most = 10000000
local insert, remove, sort = table.insert, table.remove, table.sort
function table.insert(list, ...)
    check_list(list)
    return insert(list, ...)
end
function table.remove(list, ...)
    check_list(list)
    return remove(list, ...)
end
-- Comparing long texts takes long, and nothing counts it.
local function less(one, other)
    check_time()
    return one < other
end
function table.sort(list, before)
    check_list(list)
    return sort(list, before or less)
end
local move = table.move
function table.move(list, from, to, ...)
    local first, last = tonumber(from), tonumber(to)
    if first and last and last + 0.0 - first > most then
        error("too many elements to move", 2)
    end
    return move(list, from, to, ...)
end

-- `io`, `os`, `posix`, `require` and half of `rpm` are made when one of them is looked for.
local lazy = { io = true, os = true, posix = true, package = true, require = true, dofile = true, loadfile = true }
setmetatable_(_G, { __index = function(_, name)
    if not lazy[name] then return nil end
    complete()
    return rawget(_G, name)
end })
setmetatable_(rpm, { __index = function(_, name)
    complete()
    return rawget(rpm, name)
end })
