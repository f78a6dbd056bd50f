mod faults;
mod parts;
