-- What SPECs find in Lua besides rpm's own tables: looks at files, never a change, never a process.
local world, date, time, difftime = ...

os = { difftime = difftime }

local function forbidden(name)
    return function() error(name .. " is not allowed while a SPEC is read", 2) end
end

local function forbid(table_, prefix, names)
    for name in names:gmatch("%S+") do table_[name] = forbidden(prefix .. name) end
end

function loadfile(path)
    local text, why = world.read(path)
    if not text then return nil, "cannot open " .. path .. ": " .. why end
    return load(text, "@" .. path)
end

function dofile(path)
    local made, why = loadfile(path)
    if not made then error(why, 2) end
    return made()
end

package = { loaded = { string = string, table = table, math = math, utf8 = utf8, os = os, rpm = rpm }, preload = {},
            path = "/usr/lib/rpm/lua/?.lua", cpath = "", config = "/\n;\n?\n!\n-\n" }

function require(name)
    local found = package.loaded[name]
    if found ~= nil then return found end
    local made, place = package.preload[name], ":preload:"
    local tried = "\n\tno field package.preload['" .. name .. "']"
    if not made then
        for pattern in package.path:gmatch("[^;]+") do
            place = pattern:gsub("%?", (name:gsub("%.", "/")))
            local text = world.read(place)
            if text then
                local why
                made, why = load(text, "@" .. place)
                if not made then
                    error("error loading module '" .. name .. "' from file '" .. place .. "':\n\t" .. why, 2)
                end
                break
            end
            tried = tried .. "\n\tno file '" .. place .. "'"
        end
    end
    if not made then error("module '" .. name .. "' not found:" .. tried, 2) end
    local value = made(name, place)
    if value ~= nil then package.loaded[name] = value end
    if package.loaded[name] == nil then package.loaded[name] = true end
    return package.loaded[name], place
end

-- Files: read whole, then walked.
local File = {}
File.__index = File
File.__name = "FILE*"
function File.__tostring(file) return file.closed and "file (closed)" or "file (0x0)" end

local function one(file, format)
    local text, at = file.text, file.at
    format = type(format) == "string" and format:gsub("^%*", "") or format
    if type(format) == "number" then
        if at > #text and format > 0 then return nil end
        file.at = math.min(at + format, #text + 1)
        return text:sub(at, file.at - 1)
    elseif format:sub(1, 1) == "a" then
        file.at = #text + 1
        return text:sub(at)
    elseif format:sub(1, 1) == "n" then
        local from, to = text:find("^%s*[-+]?[%w.]+", at)
        if not from then return nil end
        file.at = to + 1
        return tonumber(text:sub(from, to))
    end
    if at > #text then return nil end
    local stop = text:find("\n", at, true)
    file.at = (stop or #text) + 1
    local line = text:sub(at, (stop or #text + 1) - 1)
    return (format:sub(1, 1) == "L" and stop) and line .. "\n" or line
end

function File:read(...)
    if self.closed then error("attempt to use a closed file", 2) end
    if select("#", ...) == 0 then return one(self, "l") end
    local got = {}
    for index, format in ipairs({ ... }) do
        got[index] = one(self, format)
        if got[index] == nil then break end
    end
    return table.unpack(got, 1, select("#", ...))
end
function File:lines(...)
    local formats = { ... }
    return function() return self:read(table.unpack(formats)) end
end
function File:close()
    self.closed = true
    return true
end
function File:seek(whence, offset)
    local base = whence == "set" and 0 or whence == "end" and #self.text or self.at - 1
    self.at = base + (offset or 0) + 1
    return self.at - 1
end
function File:setvbuf() return true end
function File:flush() return self end
function File:write()
    if self.scratch then return self end
    return nil, "Bad file descriptor", 9
end

local function opened(text) return setmetatable({ text = text, at = 1 }, File) end

io = { stdin = opened(""), stdout = opened(""), stderr = opened("") }
function io.stdout:write(...) world.write(...) return self end
function io.stderr:write() return self end
function io.write(...) return io.stdout:write(...) end
function io.read(...) return io.stdin:read(...) end
function io.open(path, mode)
    -- What is written goes nowhere, as in a sandbox that is thrown away.
    if mode and mode:match("^[wa]") then return setmetatable({ text = "", at = 1, scratch = true }, File) end
    if mode and not mode:match("^rb?$") then return nil, path .. ": Read-only file system", 30 end
    local text, why = world.read(path)
    if not text then return nil, path .. ": " .. why, 2 end
    return opened(text)
end
function io.lines(path, ...)
    if not path then return io.stdin:lines(...) end
    local file, why = io.open(path)
    if not file then error(why, 2) end
    return file:lines(...)
end
function io.popen(command) return opened(world.shell(command)) end
function io.close(file) return (file or io.stdout):close() end
function io.type(file)
    if getmetatable(file) ~= File then return nil end
    return file.closed and "closed file" or "file"
end
forbid(io, "io.", "input output tmpfile")
package.loaded.io = io

-- The zone is UTC, wherever the machine is.
function os.date(format, at)
    format = tostring(format or "%c")
    if format:sub(1, 1) ~= "!" then format = "!" .. format end
    return date(format, at or world.now())
end
-- Days since 1970-03-01 in years that begin in March (Hinnant, "chrono-compatible low-level date algorithms").
local function days(year, month, day)
    year, month = year + (month - 3) // 12, (month - 3) % 12
    return year * 365 + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + day - 719469
end
function os.time(fields)
    if not fields then return world.now() end
    local function field(name, default)
        local value = fields[name]
        local number = math.tointeger(tonumber(value))
        if not number and value ~= nil then error("field '" .. name .. "' is not an integer", 3) end
        if not (number or default) then error("field '" .. name .. "' missing in date table", 3) end
        number = number or default
        if number < -1000000000 or number > 1000000000 then error("field '" .. name .. "' is out-of-bound", 3) end
        return number
    end
    local day = days(field("year"), field("month"), field("day"))
    local at = ((day * 24 + field("hour", 12)) * 60 + field("min", 0)) * 60 + field("sec", 0)
    for name, value in pairs(date("!*t", at)) do fields[name] = value end
    return at
end
function os.clock() return 0.0 end
function os.getenv(name) return world.variable(name) end
function os.tmpname() return "/tmp/lua_XXXXXX" end
function os.remove(path) return nil, tostring(path) .. ": Read-only file system", 30 end
function os.rename(path) return nil, tostring(path) .. ": Read-only file system", 30 end
function os.exit() error("exit not permitted in this context", 2) end
function os.setlocale(locale) return (locale == nil or locale == "" or locale == "C") and "C" or nil end
forbid(os, "os.", "execute")

forbid(rpm, "rpm.", "spawn execute open interactive redirect2null")
function rpm.glob(pattern, flags)
    local found = world.glob(pattern)
    if #found == 0 and flags and flags:find("c", 1, true) then found[1] = pattern end
    return found
end

-- Hooks: functions by name, called with copies of simple values.
local hooks = {}
function rpm.register(name, hook)
    if type(hook) ~= "function" then error("bad argument #2 to 'register' (function expected)", 2) end
    local handle = { hook }
    hooks[name] = hooks[name] or {}
    table.insert(hooks[name], handle)
    return handle
end
function rpm.unregister(name, handle)
    for index, known in ipairs(hooks[name] or {}) do
        if known == handle then return table.remove(hooks[name], index) and nil end
    end
end
function rpm.call(name, ...)
    local given = table.pack(...)
    for index = 1, given.n do
        local kind = type(given[index])
        if kind == "nil" then
            given[index] = world.null
        elseif kind ~= "string" and kind ~= "number" and kind ~= "userdata" then
            error("unsupported Lua type passed to hook", 2)
        end
    end
    for _, handle in ipairs(table.move(hooks[name] or {}, 1, #(hooks[name] or {}), 1, {})) do
        handle[1](table.move(given, 1, given.n, 1, {}))
    end
end

local digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
function rpm.b64encode(text, width)
    local out = {}
    for at = 1, #text, 3 do
        local a, b, c = text:byte(at, at + 2)
        local bits = a << 16 | (b or 0) << 8 | (c or 0)
        for place = 0, 3 do
            local index = bits >> (18 - 6 * place) & 63
            local filled = place < 2 or (place == 2 and b) or (place == 3 and c)
            out[#out + 1] = filled and digits:sub(index + 1, index + 1) or "="
        end
    end
    local all = table.concat(out)
    width = width or 64
    if width <= 0 then return all end
    return (all:gsub(("."):rep(width), "%0\n"):gsub("\n$", "")) .. "\n"
end
function rpm.b64decode(text)
    local bits, count, out = 0, 0, {}
    for letter in text:gsub("%s", ""):gsub("=+$", ""):gmatch(".") do
        local index = digits:find(letter, 1, true)
        if not index then return nil end
        bits, count = bits << 6 | index - 1, count + 6
        if count >= 8 then
            count = count - 8
            out[#out + 1] = string.char(bits >> count & 255)
            bits = bits & (1 << count) - 1
        end
    end
    return table.concat(out)
end

posix = {}
forbid(posix, "posix.", "chdir chmod chown ctermid exec fork getgroup getlogin getpasswd getprocessid kill link mkdir " ..
    "mkfifo mkstemp pathconf readlink rmdir setgid setuid sleep symlink times ttyname umask unlink utime wait " ..
    "redirect2null errno")
function posix.access(path) return world.exists(path) and 0 or nil end
function posix.stat(path, field)
    local kind = #world.list(path) > 0 and "directory" or world.exists(path) and "regular"
    if not kind then return nil, path .. ": No such file or directory", 2 end
    local answer = { type = kind, mode = kind == "directory" and "rwxr-xr-x" or "rw-r--r--", uid = "root", gid = "root",
                     size = kind == "regular" and #(world.read(path) or "") or 4096, mtime = world.now() }
    return field and answer[field] or not field and answer or nil
end
function posix.getenv(name) return world.variable(name) end
-- What is set here, only this SPEC and its commands see.
local function set(name, value) return world.set_variable(name, value) and 0.0 or -1.0 end
function posix.setenv(name, value, overwrite)
    if overwrite == false and world.variable(name) then return 0.0 end
    return set(name, value)
end
function posix.unsetenv(name) set(name, nil) end
function posix.putenv(text)
    local name, value = text:match("^([^=]*)=(.*)$")
    return set(name or text, value)
end
function posix.getcwd() return "/" end
function posix.dir(path) return world.list(path or ".") end
function posix.files(path)
    local names, at = world.list(path or "."), 0
    return function()
        at = at + 1
        return names[at]
    end
end
function posix.sysconf(name) return name == "page_size" and 4096 or name == "open_max" and 1024 or nil end
function posix.uname(format)
    local words = { n = "localhost", s = "Linux", r = "", v = "", m = rpm.expand("%{_target_cpu}"), ["%"] = "%" }
    return ((format or "%s %n %r %v %m"):gsub("%%(.)", words))
end
package.loaded.posix = posix
